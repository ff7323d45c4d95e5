//! Requests that are forged, repeated, malformed or unknown.

use super::*;

#[test]
fn wrong_signatures_and_malformed_envelopes_are_dropped() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    let good = frontend.frames("kernel_info_request", json!({}));
    let mut forged = good.clone();
    forged[1] = "0".repeat(64).into();
    let mut not_hex = good.clone();
    not_hex[1] = "signature".into();
    let mut changed = good.clone();
    changed[5] = "{\"a\":1}".into();
    for channel in [Channel::Shell, Channel::Control, Channel::Stdin] {
        for frames in [
            forged.clone(),
            not_hex.clone(),
            changed.clone(),
            good[..3].to_vec(),
            good[1..].to_vec(),
            vec!["noise".into()],
        ] {
            frontend.send_frames(channel, frames);
        }
    }
    frontend.expect_silence();
    assert_eq!(frontend.execute("print alive").stream("stdout"), "alive\n");
}

#[test]
fn an_unknown_request_is_busy_and_idle_without_a_reply() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    let id = frontend.request(Channel::Shell, "debug_request", json!({}));
    let states: Vec<Value> =
        (0..2).map(|_| frontend.published_under(&id).content["execution_state"].clone()).collect();
    assert_eq!(states, ["busy", "idle"]);
}

#[test]
fn a_replayed_message_runs_once_on_any_channel() {
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    let frames = frontend.frames("execute_request", execute("print once"));
    frontend.send_frames(Channel::Shell, frames.clone());
    assert_eq!(frontend.receive(Channel::Shell).kind(), "execute_reply");
    frontend.wait_for("stream");
    frontend.skip_greetings();
    for channel in [Channel::Shell, Channel::Control, Channel::Stdin] {
        frontend.send_frames(channel, frames.clone());
    }
    frontend.expect_silence();
    assert_eq!(frontend.execute("print again").reply.content["execution_count"], 2);
}

/// Each request has exactly one reply and ends with idle, whatever its fields contain.
#[test]
fn requests_with_fields_of_any_type_are_answered_once() {
    const FIELDS: [(&str, &[&str]); 9] = [
        ("kernel_info_request", &["x"]),
        (
            "execute_request",
            &[
                "code",
                "silent",
                "store_history",
                "user_expressions",
                "allow_stdin",
                "stop_on_error",
            ],
        ),
        ("complete_request", &["code", "cursor_pos"]),
        ("inspect_request", &["code", "cursor_pos", "detail_level"]),
        ("is_complete_request", &["code"]),
        (
            "history_request",
            &["output", "hist_access_type", "session", "start", "stop", "n", "pattern", "unique"],
        ),
        ("comm_info_request", &["target_name"]),
        ("interrupt_request", &["x"]),
        ("shutdown_request", &["restart"]),
    ];
    let values = [
        Value::Null,
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!("%seed"),
        json!("\u{0}é"),
        json!([1]),
        json!({ "a": null }),
        json!(true),
    ];
    let kernel = kernel();
    let mut frontend = kernel.frontend();
    let mut check = |kind: &str, content: &Value| {
        let (channel, reply) = (Channel::Shell, kind.replace("_request", "_reply"));
        let id = frontend.request(channel, kind, content.clone());
        let answer = frontend.receive(channel);
        assert_eq!((answer.kind(), answer.parent_id()), (reply.as_str(), id.as_str()), "{content}");
        while frontend.published_under(&id).content["execution_state"] != "idle" {}
        answer.content["status"] == "error"
    };
    for (kind, fields) in FIELDS {
        for field in fields {
            for value in &values {
                // This request would shut the kernel down.
                if kind != "shutdown_request" || *value != json!(true) {
                    check(kind, &json!({ *field: value }));
                }
            }
        }
        for content in [Value::Null, json!([]), json!("text"), json!(7)] {
            let is_parsed =
                !matches!(kind, "kernel_info_request" | "comm_info_request" | "interrupt_request");
            assert_eq!(check(kind, &content), is_parsed, "{kind} {content}");
        }
    }
    assert!(
        check("execute_request", &json!({ "code": null }))
            && check("history_request", &json!({ "unique": null }))
    );
    frontend.expect_silence();
    assert!(frontend.receive_within(Channel::Shell, Duration::from_millis(100)).is_none());
}
