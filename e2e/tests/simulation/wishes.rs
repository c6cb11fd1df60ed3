//! What people, operators and the gateway want of an API: a wish begins at any statement, beside whatever runs.

use crate::{bench::APIS, life::Life, process::Process, settle::At};

#[derive(Clone, Copy)]
enum Wish {
    Cancel,
    Refund,
    Event,
    Forgery,
    NewCard,
    SubscribeAgain,
    ChangePlan,
    UndoChange,
    Consent,
    EndAtOnce,
    Erase,
    ImportAgain,
}

const WISHES: [(u32, Wish); 12] = [
    (5, Wish::Cancel),
    (4, Wish::Refund),
    (8, Wish::Event),
    (2, Wish::Forgery),
    (9, Wish::NewCard),
    (1, Wish::SubscribeAgain),
    (10, Wish::ChangePlan),
    (2, Wish::UndoChange),
    (8, Wish::Consent),
    (1, Wish::EndAtOnce),
    (1, Wish::Erase),
    (1, Wish::ImportAgain),
];

impl Life<'_> {
    pub(crate) async fn begin_a_wish(&mut self) {
        let apis = self.seats.len() - APIS..self.seats.len();
        let Some(seat) = apis.into_iter().find(|seat| self.seats[*seat].at.is_none()) else { return };
        let host = self.seats[seat].host;
        let env = self.bench.hosts[host].env.clone();
        let wish = match self.dice.weighted(&WISHES) {
            Wish::Cancel => Some(self.somebody_cancels(&env).await),
            Wish::Refund => self.somebody_refunds(&env).await,
            Wish::Event => self.an_event_arrives(&env),
            Wish::Forgery => self.a_forgery_arrives(&env),
            Wish::NewCard => Some(self.somebody_registers_a_card(&env).await),
            Wish::SubscribeAgain => self.somebody_subscribes_again(&env),
            Wish::ChangePlan => Some(self.somebody_changes_the_plan(&env).await),
            Wish::UndoChange => Some(self.somebody_takes_the_change_back(&env).await),
            Wish::EndAtOnce => Some(self.somebody_is_ended(&env)),
            Wish::Erase => Some(self.somebody_is_erased(&env).await),
            Wish::ImportAgain => self.a_file_comes_again(&env),
            Wish::Consent => Some(self.somebody_consents(&env).await),
        };
        let Some((what, task)) = wish else { return };
        self.story.tell(&what);
        let process = Process::begin(&self.bench.hosts[host], task);
        self.seats[seat].at = Some(At { process, what, job: None, locked: false });
    }
}
