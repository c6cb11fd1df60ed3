//! The database server, crashed and started again as after a power cut.

use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;

use super::options::ServerOptions;

impl ServerOptions {
    /// Without a checkpoint or a goodbye to anybody: it recovers from its log. Returns when it takes connections.
    pub async fn crash_and_restart(&self) -> anyhow::Result<()> {
        let mut command = Command::new(&self.control);
        command.args(["restart", "--silent", "--wait", "--timeout=60", "--mode=immediate"]);
        command.arg("--log").arg(&self.log).arg("--pgdata").arg(&self.data);
        command.current_dir(&self.data).env_clear().env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((uid, gid)) = self.owner {
            command.uid(uid).gid(gid);
        }
        let status = command.status().await.context("cannot start pg_ctl")?;
        ensure!(status.success(), "PostgreSQL did not come back ({status}): see {}", self.log.display());
        Ok(())
    }
}
