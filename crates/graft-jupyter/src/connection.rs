//! The connection file that a Jupyter client hands to the kernel.

use std::path::{Path, PathBuf};

use graft_spec::Hint;
use jupyter_protocol::ConnectionInfo;

/// Why a connection file could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// It is not there or not readable.
    #[error("cannot read the connection file {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Its text is not what the protocol asks for.
    #[error("the connection file {path} is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// It asks for a signature that the protocol does not know.
    #[error(
        "the connection file {path} asks for the signature scheme `{scheme}`; only `hmac-sha256` is supported"
    )]
    Scheme {
        /// The file.
        path: PathBuf,
        /// What it asks for.
        scheme: String,
    },
    /// A port of it cannot be bound.
    #[error("cannot listen on {endpoint} for the {channel} channel")]
    Bind {
        /// Name of the channel.
        channel: &'static str,
        /// Where.
        endpoint: String,
        /// Why.
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
            Self::Bind { .. } => "another process holds the port: start the kernel again, which picks new ones".to_owned(),
            _ => "a Jupyter client writes this file and passes it with `graft kernel -f FILE`; start the kernel from JupyterLab or `jupyter console --kernel graft`".to_owned(),
        })
    }
}

/// Reads a connection file.
///
/// # Errors
/// [`ConnectionError`] with the file's name.
pub(crate) fn read(path: &Path) -> Result<ConnectionInfo, ConnectionError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConnectionError::Unreadable { path: path.to_owned(), source })?;
    let mut info: ConnectionInfo = serde_json::from_str(&text)
        .map_err(|source| ConnectionError::Damaged { path: path.to_owned(), source })?;
    // An empty key switches signing off, whatever the scheme says.
    if !info.key.is_empty() && info.signature_scheme != "hmac-sha256" {
        return Err(ConnectionError::Scheme {
            path: path.to_owned(),
            scheme: info.signature_scheme,
        });
    }
    // What libzmq understands and zeromq does not.
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
        fn a_spoilt_file_is_read_or_refused(place in 0..GOOD.len(), byte in proptest::prelude::any::<u8>(), cut in 0..GOOD.len()) {
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
    fn a_cut_file_is_damaged_and_says_where() {
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
    fn another_signature_scheme_is_refused() {
        assert_eq!(
            read_text(&GOOD.replace("hmac-sha256", "hmac-md5")).unwrap_err().code(),
            "connection::scheme"
        );
    }
}
