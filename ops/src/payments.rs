//! `billing payments`: asks the gateway what became of an unknown payment, and gives money back.

use clap::Subcommand;
use common::domain::{action::Action, money::Won};
use uuid::Uuid;

use crate::{
    OpsError,
    action::{ActionDone, ActionOptions},
    arguments,
    session::Session,
};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Have a worker ask Toss now what became of an unknown payment
    #[command(after_help = "Example:\n  billing payments look-up 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5")]
    LookUp {
        id: Uuid,
        #[command(flatten)]
        options: ActionOptions,
    },
    /// Give money back: all that is left, or a part
    ///
    /// Toss and the customer read the reason: at most 200 characters.
    #[command(after_help = "Examples:
  billing payments refund 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 --reason '고객 요청' --dry-run
  billing payments refund 0192f0c1-a2b3-7c4d-8e5f-60718293a4b5 --amount 4000 --reason '고객 요청'")]
    Refund {
        id: Uuid,
        /// Won; all that is left when left out
        #[arg(long, value_name = "WON", value_parser = arguments::won)]
        amount: Option<Won>,
        #[command(flatten)]
        options: ActionOptions,
    },
}

impl Command {
    pub async fn run(self, session: &Session) -> Result<String, OpsError> {
        let (mut connection, now) = session.connect_now().await?;
        let (conn, acting) = (&mut connection, session.acting(now)?);
        let (action, options, default) = match self {
            Self::LookUp { id, options } => {
                (Action::LookUpPayment(id), options, Some("looked up by an operator"))
            }
            Self::Refund { id, amount, options } => {
                (Action::RefundPayment { payment_id: id, amount }, options, None)
            }
        };
        if options.dry_run {
            return session.print(&acting.preview(conn, &action).await?);
        }
        session.print(&ActionDone(acting.perform(conn, &action, &options.reason(default)?).await?))
    }
}
