//! The words of `billing customer`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Customer {
    /// Erase what is personal, have the billing keys deleted at Toss, keep the money rows; cannot be undone
    #[command(after_help = "Examples:
  billing customer erase hong@example.com --dry-run
  billing customer erase 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 --as kim@example.com")]
    Erase {
        /// The user's id, or an e-mail address of theirs
        #[arg(value_name = "USER-ID|EMAIL")]
        who: String,
        /// Only say what would be erased, or why it cannot be yet
        #[arg(long)]
        dry_run: bool,
    },
}
