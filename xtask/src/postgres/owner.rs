//! The unprivileged user that PostgreSQL runs as when this process is root, which PostgreSQL refuses to be.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::process;

pub(crate) struct Owner {
    name: &'static str,
    uid: u32,
    gid: u32,
}

impl Owner {
    /// Nobody in particular, unless this process is root.
    pub(crate) fn if_root() -> anyhow::Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        for name in ["postgres", "nobody"] {
            let (Ok(uid), Ok(gid)) = (id("-u", name), id("-g", name)) else { continue };
            return Ok(Some(Self { name, uid, gid }));
        }
        bail!("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`")
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// `uid:gid`.
    pub(crate) fn ids(&self) -> String {
        format!("{}:{}", self.uid, self.gid)
    }

    /// Makes `command` run as this user, in a folder that this user can be in.
    pub(crate) fn assume(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Hands a file or folder over, readable by nobody else.
    pub(crate) fn take(&self, path: &Path, mode: u32) -> anyhow::Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
            .with_context(|| format!("cannot give {} to {}", path.display(), self.name))
    }

    /// Whether every folder on the way lets this user through.
    pub(crate) fn can_enter(&self, dir: &Path) -> bool {
        let mut command = Command::new("true");
        command.current_dir(dir).stdin(Stdio::null()).stderr(Stdio::null());
        self.assume(&mut command);
        command.status().is_ok_and(|status| status.success())
    }
}

fn id(flag: &str, name: &str) -> anyhow::Result<u32> {
    Ok(process::output(Command::new("id").args([flag, name]))?.trim().parse()?)
}
