use tokio::io::AsyncReadExt;
use zeromq::{Socket, SocketRecv, SubSocket};

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

/// A publisher on a Unix socket in a temporary folder.
async fn publisher()
-> (tempfile::TempDir, String, Subscribers, mpsc::UnboundedReceiver<Subscription>) {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("ipc://{}", folder.path().join("s").display());
    let (subscribers, subscriptions) = Publisher::bind(&endpoint).await.unwrap().into_parts();
    (folder, endpoint, subscribers, subscriptions)
}

async fn subscriber(endpoint: &str, topic: &str) -> SubSocket {
    let mut socket = SubSocket::new();
    socket.subscribe(topic).await.unwrap();
    socket.connect(endpoint).await.unwrap();
    socket
}

fn text(topic: &str, length: usize, budget: &OutputBudget) -> Arc<Message> {
    message(
        &[Bytes::copy_from_slice(topic.as_bytes()), Bytes::from(vec![b'x'; length])],
        Weight::Bytes(length),
        budget,
    )
}

#[tokio::test]
async fn subscribers_receive_the_topics_that_they_subscribed_to() {
    let (_folder, endpoint, subscribers, mut subscriptions) = publisher().await;
    let mut all = subscriber(&endpoint, "").await;
    assert_eq!(subscriptions.recv().await.unwrap().topic, "");
    let mut some = subscriber(&endpoint, "b").await;
    let subscription = subscriptions.recv().await.unwrap();
    assert_eq!(subscription.topic, "b");
    let budget = OutputBudget::default();
    for (topic, length) in [("a", 1), ("b", 300), ("bc", 0)] {
        subscribers.publish(&text(topic, length, &budget), &|_| None);
    }
    subscribers.send_to(&subscription, &text("to one", 0, &budget));
    let read = async |socket: &mut SubSocket| {
        tokio::time::timeout(LIMIT, socket.recv()).await.unwrap().unwrap()
    };
    for (topic, length) in [("a", 1), ("b", 300), ("bc", 0)] {
        let message = read(&mut all).await;
        assert_eq!(
            (&message.get(0).unwrap()[..], message.get(1).unwrap().len()),
            (topic.as_bytes(), length)
        );
    }
    for topic in ["b", "bc", "to one"] {
        assert_eq!(&read(&mut some).await.get(0).unwrap()[..], topic.as_bytes());
    }
}

#[tokio::test]
async fn a_stalled_subscriber_does_not_slow_the_others_down() {
    let (folder, endpoint, subscribers, mut subscriptions) = publisher().await;
    let mut stalled = tokio::net::UnixStream::connect(folder.path().join("s")).await.unwrap();
    zmtp_client(&mut stalled).await;
    subscriptions.recv().await.unwrap();
    let mut healthy = subscriber(&endpoint, "").await;
    subscriptions.recv().await.unwrap();
    let budget = OutputBudget::default();
    let count = 400;
    let reading = tokio::spawn(async move {
        for _ in 0..count {
            assert_eq!(
                tokio::time::timeout(LIMIT * 3, healthy.recv())
                    .await
                    .unwrap()
                    .unwrap()
                    .get(1)
                    .unwrap()
                    .len(),
                1 << 17
            );
        }
    });
    for _ in 0..count {
        budget.ready().await;
        assert!(!budget.is_stalled(), "the budget must not stall while a subscriber reads");
        subscribers.publish(&text("kernel", 1 << 17, &budget), &|_| None);
        tokio::task::yield_now().await;
    }
    reading.await.unwrap();
    drop(stalled);
}

/// Performs the handshake of a client and subscribes to all topics.
async fn zmtp_client(stream: &mut tokio::net::UnixStream) {
    let mut greeting = [0u8; 64];
    (greeting[0], greeting[9], greeting[10]) = (0xff, 0x7f, 3);
    greeting[12..16].copy_from_slice(b"NULL");
    stream.write_all(&greeting).await.unwrap();
    stream
        .write_all(b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB\x00\x01\x01")
        .await
        .unwrap();
    stream.read_exact(&mut greeting).await.unwrap();
}

#[tokio::test]
async fn other_protocols_are_rejected() {
    let (folder, _endpoint, subscribers, _subscriptions) = publisher().await;
    for noise in [
        &[0u8; 64][..],
        b"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: x\r\nAccept: */*\r\nX: yyyyyyy\r\n\r\n",
    ] {
        let mut stream = tokio::net::UnixStream::connect(folder.path().join("s")).await.unwrap();
        stream.write_all(noise).await.unwrap();
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(LIMIT, stream.read_to_end(&mut rest)).await.unwrap();
    }
    assert!(subscribers.lock().is_empty());
}
