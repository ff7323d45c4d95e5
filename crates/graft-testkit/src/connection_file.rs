//! Connection files as a Jupyter client writes them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A connection file in a folder of its own, removed with it.
#[derive(Debug)]
pub struct ConnectionFile {
    folder: TempDir,
    content: Value,
}

impl ConnectionFile {
    /// Sockets as files in the same folder: no port can be taken by somebody else.
    pub fn ipc(key: &str) -> Self {
        let folder =
            tempfile::Builder::new().prefix("graft-ipc-").tempdir().expect("a temporary folder");
        let prefix = folder.path().join("kernel").display().to_string();
        Self::write(folder, json!({ "transport": "ipc", "ip": prefix }), [1, 2, 3, 4, 5], key)
    }

    /// Ports of this machine that were free a moment ago.
    pub fn tcp(key: &str) -> Self {
        let listeners: Vec<_> = (0..5)
            .map(|_| std::net::TcpListener::bind("127.0.0.1:0").expect("a free port"))
            .collect();
        let mut ports = [0; 5];
        for (port, listener) in ports.iter_mut().zip(&listeners) {
            *port = listener.local_addr().expect("a bound socket has an address").port();
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self::write(folder, json!({ "transport": "tcp", "ip": "127.0.0.1" }), ports, key)
    }

    fn write(folder: TempDir, mut content: Value, ports: [u16; 5], key: &str) -> Self {
        for (name, port) in
            ["shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"].iter().zip(ports)
        {
            content[name] = json!(port);
        }
        content["key"] = json!(key);
        content["signature_scheme"] = json!("hmac-sha256");
        content["kernel_name"] = json!("graft");
        let file = Self { folder, content };
        std::fs::write(file.path(), file.content.to_string()).expect("the folder is writable");
        file
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("connection.json")
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The signing key.
    pub fn key(&self) -> &str {
        self.content["key"].as_str().unwrap_or_default()
    }

    /// Where the channel of a port listens.
    pub fn endpoint(&self, port: &str) -> String {
        let (transport, ip) = (
            self.content["transport"].as_str().unwrap_or_default(),
            self.content["ip"].as_str().unwrap_or_default(),
        );
        let between = if transport == "ipc" { "-" } else { ":" };
        format!("{transport}://{ip}{between}{}", self.content[port])
    }
}
