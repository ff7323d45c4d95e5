//! Connection files, written as a Jupyter client does.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A connection file in a temporary folder, which is removed on drop.
#[derive(Debug)]
pub struct ConnectionFile {
    folder: TempDir,
    content: Value,
}

impl ConnectionFile {
    /// A file for the ipc transport, with socket files in the same folder; ports cannot collide.
    pub fn ipc(key: &str) -> Self {
        let folder =
            tempfile::Builder::new().prefix("graft-ipc-").tempdir().expect("a temporary folder");
        let prefix = folder.path().join("kernel").display().to_string();
        Self::write(folder, json!({ "transport": "ipc", "ip": prefix }), [1, 2, 3, 4, 5], key)
    }

    /// A file for the tcp transport, with ports that were free when it was written.
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

    /// Path of the file.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("connection.json")
    }

    /// Folder of the file.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The signing key.
    pub fn key(&self) -> &str {
        self.content["key"].as_str().unwrap_or_default()
    }

    /// Address of the channel whose port has this key.
    pub fn endpoint(&self, port: &str) -> String {
        let transport = self.content["transport"].as_str().unwrap_or_default();
        let ip = self.content["ip"].as_str().unwrap_or_default();
        let separator = if transport == "ipc" { "-" } else { ":" };
        format!("{transport}://{ip}{separator}{}", self.content[port])
    }
}
