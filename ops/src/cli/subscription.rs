//! The words of `billing subscription`.

use clap::Subcommand;
use common::domain::ending::RefundPolicy;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(crate) enum Subscription {
    /// Its invoices, payments, refunds, e-mails, jobs and events in one screen
    #[command(after_help = "Example:\n  billing subscription show sub_0192f0c1a2b37c4d8e5f60718293a4b5")]
    Show {
        /// sub_… or a UUID
        #[arg(value_parser = ops::subscription::parse_id)]
        id: Uuid,
    },
    /// Stop charging it; what is in flight is still looked up
    #[command(
        after_help = "Example:\n  billing subscription pause sub_0192f0c1a2b37c4d8e5f60718293a4b5 --reason dispute"
    )]
    Pause {
        /// sub_… or a UUID
        #[arg(value_parser = ops::subscription::parse_id)]
        id: Uuid,
        #[arg(long, default_value = "paused by an operator")]
        reason: String,
    },
    /// Charge it again
    #[command(
        after_help = "Example:\n  billing subscription resume-charging sub_0192f0c1a2b37c4d8e5f60718293a4b5"
    )]
    ResumeCharging {
        /// sub_… or a UUID
        #[arg(value_parser = ops::subscription::parse_id)]
        id: Uuid,
        #[arg(long, default_value = "resumed by an operator")]
        reason: String,
    },
    /// End it at once: no access, no further charge; the share of the unused days goes back
    ///
    /// The day on which it ends counts as used, and a fraction of a won is kept. The same again changes nothing. The
    /// customer is told in the name of `BRAND_NAME`, with links to `PUBLIC_URL`.
    #[command(after_help = "Examples:
  billing subscription end sub_0192f0c1a2b37c4d8e5f60718293a4b5 --reason '고객 요청'
  billing subscription end sub_0192f0c1a2b37c4d8e5f60718293a4b5 --refund none --reason '약관 위반'")]
    End {
        /// sub_… or a UUID
        #[arg(value_parser = ops::subscription::parse_id)]
        id: Uuid,
        /// pro-rata or none
        #[arg(long, default_value = "pro-rata", value_parser = refund_policy)]
        refund: RefundPolicy,
        /// The customer reads it in the e-mail about the refund; at most 200 characters
        #[arg(long)]
        reason: String,
    },
}

fn refund_policy(text: &str) -> Result<RefundPolicy, String> {
    text.replace('-', "_").parse().map_err(|_| "pro-rata or none".to_owned())
}
