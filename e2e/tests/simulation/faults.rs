//! What may go wrong at the gateway, per operation. Nothing here makes anybody wait.

use sandbox::{Effect, Operation};

use crate::dice::Dice;

fn answered(code: &str) -> Effect {
    Effect::Error { code: code.to_owned(), status: None, message: None }
}

fn in_doubt() -> Vec<(u32, Effect)> {
    vec![
        (5, Effect::ApproveThenCut),
        (4, Effect::Error500Approved),
        (4, Effect::Error500NotApproved),
        (3, Effect::Status429),
        (3, Effect::Status409),
        (3, Effect::Garbage),
        (3, Effect::AnswerWrongAmount),
    ]
}

/// What happens to this call.
pub(crate) fn draw(operation: Operation, is_away: bool, dice: &mut Dice) -> Effect {
    if is_away {
        return Effect::Error500NotApproved;
    }
    let mut possible = in_doubt();
    match operation {
        Operation::Lookup => possible.push((6, Effect::Lookup404)),
        Operation::Charge | Operation::Confirm => possible.extend([
            (4, answered("REJECT_CARD_PAYMENT")),
            (3, answered("MAINTAINED_METHOD")),
            (2, answered("PROVIDER_ERROR")),
            (1, answered("INVALID_STOPPED_CARD")),
            (1, answered("A_CODE_OF_TOMORROW")),
        ]),
        Operation::Cancel => possible.push((2, answered("PROVIDER_ERROR"))),
        Operation::Issue | Operation::Delete | Operation::Transactions => {}
    }
    dice.weighted(&possible)
}
