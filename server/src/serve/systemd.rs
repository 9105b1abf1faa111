//! What systemd gives a service, and wants to hear of it.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};

use crate::site::Site;

/// What it gives.
#[derive(Debug, Default)]
pub struct Given {
    /// Where the service may write: `StateDirectory=`, [systemd.exec(5)].
    ///
    /// [systemd.exec(5)]: https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html
    pub state: Option<PathBuf>,
    /// Secrets that the service's own account cannot read where they come from: `LoadCredential=`.
    pub credentials: Option<PathBuf>,
}

impl Given {
    /// To this process.
    pub fn here() -> Given {
        let path = |name| std::env::var_os(name).map(PathBuf::from);
        Given { state: path("STATE_DIRECTORY"), credentials: path("CREDENTIALS_DIRECTORY") }
    }

    /// Lets `site` use it: a database below the folder of the site's file is below that of the state, and a token's file
    /// is the credential of the same name, if there is one.
    pub fn to(&self, site: &mut Site) {
        let server = &mut site.file.server;
        let folder = site.path.parent().unwrap_or(Path::new(""));
        if let Some(state) = &self.state
            && let Ok(below) = server.database.strip_prefix(folder)
        {
            server.database = state.join(below);
        }
        let Some(credentials) = &self.credentials else { return };
        let webhooks = site.file.webhooks.iter_mut().map(|webhook| &mut webhook.token_file);
        for token in webhooks.chain([&mut server.token_file]).flatten() {
            let credential = token.file_name().map(|name| credentials.join(name));
            if let Some(credential) = credential.filter(|credential| credential.exists()) {
                *token = credential;
            }
        }
    }
}

/// Sends `state`, lines like `READY=1` and `STATUS=…` of [sd_notify(3)], if systemd wants to know. That nobody listens
/// harms nobody.
///
/// [sd_notify(3)]: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
pub fn tell(state: &str) {
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET")
        && let Err(error) = send(&socket, state)
    {
        log::warn!(event = "notify"; "{}: {error}", socket.display());
    }
}

fn send(socket: &OsStr, state: &str) -> std::io::Result<()> {
    let address = match socket.as_bytes() {
        // A name that is in no file system.
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_hears_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("disklessd-test-{}", std::process::id());
        let named = SocketAddr::from_abstract_name(&name).unwrap();
        for (listener, socket) in [
            (UnixDatagram::bind(&path).unwrap(), path.clone().into_os_string()),
            (UnixDatagram::bind_addr(&named).unwrap(), format!("@{name}").into()),
        ] {
            send(&socket, "READY=1").unwrap();
            let mut got = [0; 16];
            let length = listener.recv(&mut got).unwrap();
            assert_eq!(&got[..length], b"READY=1");
        }
        assert!(send(OsStr::new("/nowhere"), "READY=1").is_err());
    }

    #[test]
    fn what_it_gives_is_used() {
        let credentials = tempfile::tempdir().unwrap();
        std::fs::write(credentials.path().join("operator.token"), "t").unwrap();
        let site = |database: &str| {
            let mut site = Site { path: "/etc/disklessd/site.toml".into(), ..Site::default() };
            site.file.server.database = database.into();
            site.file.server.token_file = Some("/etc/disklessd/operator.token".into());
            site
        };
        let given = |state: Option<&str>, credentials: Option<&Path>, database| {
            let mut site = site(database);
            let (state, credentials) = (state.map(PathBuf::from), credentials.map(Path::to_owned));
            Given { state, credentials }.to(&mut site);
            (site.file.server.database, site.file.server.token_file.unwrap())
        };
        let etc = PathBuf::from("/etc/disklessd/operator.token");
        let state = Some("/var/lib/disklessd");
        assert_eq!(given(None, None, "/etc/disklessd/a.db"), ("/etc/disklessd/a.db".into(), etc.clone()));
        assert_eq!(
            given(state, None, "/etc/disklessd/a.db"),
            ("/var/lib/disklessd/a.db".into(), etc.clone())
        );
        assert_eq!(given(state, None, "/srv/a.db").0, PathBuf::from("/srv/a.db"));
        let token = credentials.path().join("operator.token");
        assert_eq!(given(None, Some(credentials.path()), "/srv/a.db").1, token);
        assert_eq!(given(None, Some(Path::new("/nowhere")), "/srv/a.db").1, etc);
    }
}
