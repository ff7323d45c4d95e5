//! The connection file that a Jupyter client passes to the kernel.

use std::path::{Path, PathBuf};

use graft_spec::Hint;
use jupyter_protocol::ConnectionInfo;

/// Why the kernel cannot serve a connection file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The file is missing or not readable.
    #[error("cannot read the connection file {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is not valid JSON or lacks a field.
    #[error("the connection file {path} is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Location and reason.
        #[source]
        source: serde_json::Error,
    },
    /// The signature scheme is not supported.
    #[error(
        "unsupported signature scheme `{scheme}` in the connection file {path}; expected `hmac-sha256`"
    )]
    Scheme {
        /// The file.
        path: PathBuf,
        /// The scheme in the file.
        scheme: String,
    },
    /// A socket cannot be bound.
    #[error("cannot listen on {endpoint} for the {channel} channel")]
    Bind {
        /// Name of the channel.
        channel: &'static str,
        /// Address of the socket.
        endpoint: String,
        /// The cause.
        #[source]
        source: zeromq::ZmqError,
    },
}

impl Hint for ConnectionError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "connection::unreadable",
            Self::Damaged { .. } => "connection::damaged",
            Self::Scheme { .. } => "connection::scheme",
            Self::Bind { .. } => "connection::bind",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Bind { .. } => "another process uses the port; restart the kernel to get new ports".to_owned(),
            _ => "a Jupyter client writes this file; start the kernel from JupyterLab or with `jupyter console --kernel graft`".to_owned(),
        })
    }
}

/// Reads a connection file.
///
/// # Errors
/// [`ConnectionError`], which names the file.
pub(crate) fn read(path: &Path) -> Result<ConnectionInfo, ConnectionError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConnectionError::Unreadable { path: path.to_owned(), source })?;
    let mut info: ConnectionInfo = serde_json::from_str(&text)
        .map_err(|source| ConnectionError::Damaged { path: path.to_owned(), source })?;
    // An empty key disables signing, whatever the scheme is.
    if !info.key.is_empty() && info.signature_scheme != "hmac-sha256" {
        return Err(ConnectionError::Scheme {
            path: path.to_owned(),
            scheme: info.signature_scheme,
        });
    }
    // libzmq accepts `*`, the zeromq crate does not.
    if info.ip == "*" {
        "0.0.0.0".clone_into(&mut info.ip);
    }
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"ip":"127.0.0.1","transport":"tcp","shell_port":1,"iopub_port":2,"stdin_port":3,"control_port":4,"hb_port":5,
        "key":"k","signature_scheme":"hmac-sha256","kernel_name":"graft","jupyter_session":"x"}"#;

    proptest::proptest! {
        #[test]
        fn a_corrupt_file_is_read_or_rejected(place in 0..GOOD.len(), byte in proptest::prelude::any::<u8>(), cut in 0..GOOD.len()) {
            let mut bytes = GOOD.as_bytes().to_vec();
            bytes[place] = byte;
            let file = tempfile::NamedTempFile::new().unwrap();
            for bytes in [&bytes[..], &bytes[..cut]] {
                std::fs::write(file.path(), bytes).unwrap();
                if let Err(error) = read(file.path()) {
                    proptest::prop_assert!(error.to_string().contains(&file.path().display().to_string()));
                }
            }
        }
    }

    fn read_text(text: &str) -> Result<ConnectionInfo, ConnectionError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path())
    }

    #[test]
    fn a_file_of_jupyter_client_is_read_and_unknown_keys_are_ignored() {
        assert_eq!(read_text(GOOD).unwrap().shell_url(), "tcp://127.0.0.1:1");
    }

    #[test]
    fn the_error_for_a_truncated_file_has_the_line() {
        let error = read_text(&GOOD[..60]).unwrap_err();
        assert_eq!(error.code(), "connection::damaged");
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("line 1"));
    }

    #[test]
    fn a_missing_port_is_named() {
        let error = read_text(&GOOD.replace("\"hb_port\":5,", "")).unwrap_err();
        assert!(std::error::Error::source(&error).unwrap().to_string().contains("hb_port"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/nonexistent/connection.json")).unwrap_err();
        assert_eq!(error.code(), "connection::unreadable");
        assert!(error.to_string().contains("/nonexistent/connection.json"));
    }

    #[test]
    fn a_star_means_every_interface() {
        assert_eq!(read_text(&GOOD.replace("127.0.0.1", "*")).unwrap().ip, "0.0.0.0");
    }

    #[test]
    fn another_signature_scheme_is_rejected() {
        assert_eq!(
            read_text(&GOOD.replace("hmac-sha256", "hmac-md5")).unwrap_err().code(),
            "connection::scheme"
        );
    }
}
