//! `disklessd init`: a site to begin with.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use diskless::sys::random;
use lexopt::{Arg, Parser};

use super::{Failed, print};
use crate::error::{Error, Result};

const HELP: &str = "\
usage: disklessd init [FOLDER]

Writes into FOLDER (the current one) what a site begins with, and overwrites nothing:

  site.toml       the site's file, commented: change it to what you have
  operator.token  a random token: whoever can read it may do what operators may
  files/          for kernels and initramfs
";

/// The site's file as it is written.
pub const SITE: &str = include_str!("../site/example.toml");
/// As [`SITE`] names it.
const TOKEN: &str = "operator.token";

/// Writes a site.
pub fn main(args: &mut Parser) -> Result<(), Failed> {
    let mut folder = None;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return print(HELP),
            Arg::Value(path) if folder.is_none() => folder = Some(PathBuf::from(path)),
            other => return Err(other.unexpected().into()),
        }
    }
    let folder = folder.unwrap_or_else(|| PathBuf::from("."));
    write(&folder)?;
    let site = folder.join("site.toml");
    print(&format!(
        "wrote {site} and {token}\n\
         The account that runs the server must be able to read both; nobody else needs {TOKEN}.\n\
         Kernels and initramfs that this server is to serve go into {files}.\n\
         Next: change {site} to what you have, then\n  \
         disklessd check {site}\n  disklessd serve --config {site}\n",
        site = site.display(),
        token = folder.join(TOKEN).display(),
        files = folder.join("files").display(),
    ))
}

/// Makes the files; none of them, if one of them is there.
fn write(folder: &Path) -> Result<()> {
    let (site, token) = (folder.join("site.toml"), folder.join(TOKEN));
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    };
    for path in [&site, &token] {
        if path.symlink_metadata().is_ok() {
            let there = "it is there already, and nothing is overwritten";
            return Err(failed(path)(io::Error::new(io::ErrorKind::AlreadyExists, there)));
        }
    }
    let files = folder.join("files");
    std::fs::create_dir_all(&files).map_err(failed(&files))?;
    let random =
        random::bytes::<32>().map_err(|source| Error::Io { what: "random numbers".to_owned(), source })?;
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    new(&token, 0o600, &format!("{hex}\n")).map_err(failed(&token))?;
    new(&site, 0o644, SITE).map_err(failed(&site))
}

fn new(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use diskless::input::document::{Document, VERSIONS};

    use super::*;
    use crate::site::aside::Aside;
    use crate::site::file::File as SiteFile;
    use crate::site::plan::render;
    use crate::site::{self, Problem, Site};

    #[test]
    fn what_it_writes_is_a_site() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        write(&folder).unwrap();
        let site = site::read(&folder.join("site.toml")).unwrap();
        assert_eq!(crate::check::check(&site), []);
        assert_eq!(site.nodes.len(), 4);
        for node in site.nodes.values() {
            let plan = render(&site, node, VERSIONS[0]).unwrap();
            let document =
                Document::parse(plan.document.to_string().as_bytes()).map(|document| document.hostname);
            assert_eq!(document.unwrap().as_deref(), Some(node.name.as_str()));
        }
        let token = site.file.server.token_file.unwrap();
        assert_eq!(token.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let token = std::fs::read_to_string(token).unwrap();
        assert!(
            token.len() == 65 && token.trim_end().bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{token}"
        );
        assert!(site.file.server.files.unwrap().is_dir());
    }

    #[test]
    fn what_is_commented_out_is_right() {
        let line = |line: &'static str| match line.strip_prefix('#') {
            Some(example) if !example.starts_with(' ') => example,
            _ => line,
        };
        let text: Vec<&str> = SITE.lines().map(line).collect();
        let site = Site::of(SiteFile::parse(&text.join("\n")).unwrap(), Aside::default());
        assert_eq!((site.file.webhooks.len(), site.file.links.len()), (1, 2));
        // Its secret is not there.
        let problems: Vec<Problem> = site.remarks.iter().map(|remark| remark.problem).collect();
        assert_eq!(problems, [Problem::SideFile]);
    }

    #[test]
    fn nothing_is_overwritten() {
        for there in ["site.toml", TOKEN] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(there), "mine").unwrap();
            let error = write(folder.path()).unwrap_err();
            assert!(
                error.to_string().starts_with(&folder.path().join(there).display().to_string()),
                "{error}"
            );
            let names: Vec<_> =
                std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, [there]);
            assert_eq!(std::fs::read_to_string(folder.path().join(there)).unwrap(), "mine");
        }
    }
}
