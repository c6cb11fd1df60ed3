//! The keys and passwords of this machine's system: made once, kept in `.dev/secrets`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::project::Project;

/// What was made the first time; a new name added later is made and kept, too.
pub(crate) fn load_or_make(project: &Project) -> anyhow::Result<BTreeMap<String, String>> {
    let path = project.dev()?.join("secrets");
    let mut secrets = parse(&fs::read_to_string(&path).unwrap_or_default());
    let made = secrets.len();
    for name in ["BILLING_KEY_ENCRYPTION_KEYS", "CONSOLE_TOTP_KEYS"] {
        if !secrets.contains_key(name) {
            secrets.insert(name.to_owned(), format!("dev1:{}", base64_key()?));
        }
    }
    for name in ["CRON_SECRET", "AUTH_JWT_SECRET"] {
        if !secrets.contains_key(name) {
            secrets.insert(name.to_owned(), hex_secret()?);
        }
    }
    if secrets.len() > made {
        let lines: Vec<String> = secrets.iter().map(|(name, value)| format!("{name}={value}")).collect();
        write(&path, &(lines.join("\n") + "\n"))?;
    }
    Ok(secrets)
}

/// Writes a file that only this user may read, whole or not at all.
pub(crate) fn write(path: &Path, content: &str) -> anyhow::Result<()> {
    let unfinished = path.with_extension("new");
    // Left by a run that was killed, or not there.
    let _ = fs::remove_file(&unfinished);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .and_then(|()| fs::rename(&unfinished, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn parse(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn random_bytes() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// 256 random bits as 64 characters that need no quoting anywhere.
pub(crate) fn hex_secret() -> anyhow::Result<String> {
    let mut secret = String::new();
    for byte in random_bytes()? {
        write!(secret, "{byte:02x}")?;
    }
    Ok(secret)
}

/// 256 random bits in standard base64, as keys are written in `BILLING_KEY_ENCRYPTION_KEYS`.
pub(crate) fn base64_key() -> anyhow::Result<String> {
    Ok(STANDARD.encode(random_bytes()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_value_may_contain_the_sign_that_separates_it_from_its_name() {
        let secrets = parse("BILLING_KEY_ENCRYPTION_KEYS=dev1:AAAA=\nCRON_SECRET=x\n");
        assert_eq!(secrets.get("BILLING_KEY_ENCRYPTION_KEYS").unwrap(), "dev1:AAAA=");
        assert_eq!(secrets.len(), 2);
    }

    #[test]
    fn a_written_secret_is_readable_by_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("env");
        fs::write(&path, "old and open").unwrap();
        write(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_secret_has_256_bits_and_is_never_the_same() {
        let (first, second) = (hex_secret().unwrap(), hex_secret().unwrap());
        assert_eq!(first.len(), 64);
        assert_ne!(first, second);
        assert_eq!(STANDARD.decode(base64_key().unwrap()).unwrap().len(), 32);
    }
}
