//! The kernel seen by `jupyter-zmq-client`, a client that shares no line with ours.

use jupyter_protocol::{
    ConnectionInfo, ExecuteRequest, ExecutionState, IsCompleteRequest, JupyterMessage,
    JupyterMessageContent, KernelInfoRequest, ReplyStatus, ShutdownRequest,
};
use jupyter_zmq_client as client;

use super::Kernel;
use graft_testkit::ConnectionFile;

const SESSION: &str = "a-client-of-its-own";

async fn talk(info: &ConnectionInfo) -> client::Result<()> {
    let identity = client::peer_identity_for_session(SESSION)?;
    let mut iopub = client::create_client_iopub_connection(info, "", SESSION).await?;
    let mut shell =
        client::create_client_shell_connection_with_identity(info, SESSION, identity).await?;
    let mut control = client::create_client_control_connection(info, SESSION).await?;
    client::create_client_heartbeat_connection(info).await?.single_heartbeat().await?;

    shell.send(KernelInfoRequest {}.into()).await?;
    let JupyterMessageContent::KernelInfoReply(about) = shell.read().await?.content else {
        panic!("no kernel_info_reply")
    };
    assert_eq!(
        (about.language_info.name.as_str(), about.implementation.as_str()),
        ("rust", "graft")
    );

    let request: JupyterMessage = ExecuteRequest::new("%lsmagic".to_owned()).into();
    shell.send(request.clone()).await?;
    let JupyterMessageContent::ExecuteReply(reply) = shell.read().await?.content else {
        panic!("no execute_reply")
    };
    assert_eq!(reply.status, ReplyStatus::Ok);
    let mut displays = 0;
    loop {
        let message = iopub.read().await?;
        if message
            .parent_header
            .as_ref()
            .is_none_or(|parent| parent.msg_id != request.header.msg_id)
        {
            continue;
        }
        match message.content {
            JupyterMessageContent::DisplayData(_) => displays += 1,
            JupyterMessageContent::Status(status)
                if status.execution_state == ExecutionState::Idle =>
            {
                break;
            }
            _ => {}
        }
    }
    assert_eq!(displays, 1);

    shell.send(IsCompleteRequest { code: "fn f() {".to_owned() }.into()).await?;
    assert!(matches!(shell.read().await?.content, JupyterMessageContent::IsCompleteReply(_)));

    control.send(ShutdownRequest { restart: false }.into()).await?;
    assert!(matches!(control.read().await?.content, JupyterMessageContent::ShutdownReply(_)));
    Ok(())
}

#[test]
fn an_independent_client_reads_every_answer() {
    let mut kernel = Kernel::start(ConnectionFile::tcp("secret"));
    let text = std::fs::read_to_string(kernel.file.path()).unwrap();
    let info: ConnectionInfo = serde_json::from_str(&text).unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let talked = runtime.block_on(async {
        tokio::time::timeout(std::time::Duration::from_secs(30), talk(&info)).await
    });
    talked.expect("the client waits in vain").unwrap();
    assert!(kernel.wait().success());
}
