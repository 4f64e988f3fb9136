//! Users' own invariants: what the exploration sees and what it does not let pass.

use hundi_checker::Limits;
use hundi_checker::app::{App, Invariant, Next, Report, Tx, prove, prove_with};
use hundi_ledger::{Account, Amount, CreateTransferStatus as Status, Phase, Transfer};

/// One account pays another 10 in up to three transactions, with what each test wants to see.
#[derive(Clone, Copy)]
struct Toy {
    steps: fn(&mut Steps<'_, '_>) -> Next,
    recover: fn(&mut Tx<'_, Toy>) -> Next,
    requests: usize,
    crashes: u8,
    repeats: u8,
    invariant: fn() -> Vec<Invariant<Toy>>,
}

/// What a step has at hand.
struct Steps<'a, 'b> {
    place: usize,
    done: &'a mut u8,
    tx: &'a mut Tx<'b, Toy>,
}

const TOY: Toy = Toy {
    steps: |_| Next::Done,
    recover: |_| Next::Done,
    requests: 1,
    crashes: 1,
    repeats: 1,
    invariant: Vec::new,
};

impl App for Toy {
    type Rows = u32;
    type Memory = u8;
    type Request = usize;

    fn set_up(&self, tx: &mut Tx<'_, Self>) {
        tx.create_accounts(&[Account::new(1, 356, 1), Account::new(2, 356, 1)]);
    }

    fn requests(&self) -> Vec<usize> {
        (0..self.requests).collect()
    }

    fn step(&self, request: &usize, memory: &mut u8, tx: &mut Tx<'_, Self>) -> Next {
        (self.steps)(&mut Steps { place: *request, done: memory, tx })
    }

    fn recover(&self, _: &mut u8, tx: &mut Tx<'_, Self>) -> Next {
        (self.recover)(tx)
    }

    fn invariants(&self) -> Vec<Invariant<Self>> {
        (self.invariant)()
    }

    fn crashes(&self) -> u8 {
        self.crashes
    }

    fn repeats(&self) -> u8 {
        self.repeats
    }

    fn clock(&self) -> Vec<u32> {
        vec![5, 10]
    }
}

fn pay(tx: &mut Tx<'_, Toy>, id: u128) -> Status {
    tx.create_transfers(&[Transfer::new(id, 1, 2, 10, 356, 1)])[0].status
}

/// First the transfer and then the row, in two transactions.
fn money_then_row(steps: &mut Steps<'_, '_>) -> Next {
    match *steps.done {
        0 => {
            pay(steps.tx, 7);
            *steps.done = 1;
            Next::Go
        }
        _ => {
            *steps.tx.rows = 1;
            Next::Done
        }
    }
}

fn row_follows_money() -> Vec<Invariant<Toy>> {
    vec![Invariant::at_rest("the row follows the money", |_, view| {
        view.balance(2).1 == Amount(u128::from(*view.rows) * 10)
    })]
}

fn events(report: &Report) -> Vec<&str> {
    report
        .story
        .as_ref()
        .map_or_else(Vec::new, |story| story.steps.iter().map(|s| s.event.as_str()).collect())
}

#[test]
fn a_crash_between_two_transactions_is_found() {
    let toy = Toy { steps: money_then_row, invariant: row_follows_money, ..TOY };
    let report = prove(toy);
    assert!(!report.is_proved());
    assert_eq!(events(&report), ["0 is asked", "the app crashes", "the app recovers"]);
    prove(Toy { crashes: 0, ..toy }).assert_proved();
    let recover = |tx: &mut Tx<'_, Toy>| {
        *tx.rows = u32::from(tx.transfer(7).is_some());
        Next::Done
    };
    prove(Toy { recover, ..toy }).assert_proved();
}

#[test]
fn a_recovery_that_does_harm_is_found_though_nothing_was_under_way() {
    // One transaction and an answer; a start after a crash takes it for unfinished business.
    let steps = |steps: &mut Steps<'_, '_>| {
        steps.tx.create_transfers(&[Transfer::new(7, 1, 2, 10, 356, 1).pending(0)]);
        Next::Done
    };
    let recover = |tx: &mut Tx<'_, Toy>| {
        tx.create_transfers(&[Transfer::void(8, 7)]);
        Next::Done
    };
    let invariant = || {
        vec![Invariant::at_rest("who was told «done» has the hold", |_, view| {
            view.answer(0) != Some(true) || view.holds(2).1 == Amount(10)
        })]
    };
    let toy = Toy { steps, invariant, repeats: 0, ..TOY };
    prove(toy).assert_proved();
    let found = prove(Toy { recover, ..toy });
    assert_eq!(events(&found), ["0 is asked", "the app crashes", "the app recovers"]);
}

#[test]
fn a_lost_answer_is_found() {
    let steps = |steps: &mut Steps<'_, '_>| {
        let id = steps.tx.new_id();
        pay(steps.tx, id);
        Next::Done
    };
    let invariant = || vec![Invariant::always("paid once", |_, view| view.balance(2).1 <= Amount(10))];
    let toy = Toy { steps, invariant, crashes: 0, ..TOY };
    assert_eq!(events(&prove(toy)), ["0 is asked", "the answer was lost: 0 is asked again"]);
    prove(Toy { repeats: 0, ..toy }).assert_proved();
}

#[test]
fn a_refused_step_leaves_nothing_and_its_client_knows() {
    let steps = |steps: &mut Steps<'_, '_>| {
        assert_eq!(pay(steps.tx, 7), Status::Created, "a rollback takes the transfer back");
        *steps.tx.rows += 1;
        Next::Refuse
    };
    let invariant = || {
        vec![
            Invariant::always("nothing happens", |_, view| *view.rows == 0 && view.transfers().count() == 0),
            Invariant::sometimes("the client is refused", |_, view| view.answer(0) == Some(false)),
        ]
    };
    prove(Toy { steps, invariant, ..TOY }).assert_proved();
}

#[test]
fn requests_meet_in_every_order() {
    // Each reads the row, and writes it in the next transaction: a lost update.
    let steps = |steps: &mut Steps<'_, '_>| match *steps.done {
        0 => {
            *steps.done = 1 + u8::try_from(*steps.tx.rows).expect("small");
            Next::Go
        }
        read => {
            *steps.tx.rows = u32::from(read);
            Next::Done
        }
    };
    let invariant = || {
        vec![Invariant::always("both count", |_, view| {
            (0..2).any(|place| view.answer(place).is_none()) || *view.rows == 2
        })]
    };
    let toy = Toy { steps, invariant, requests: 2, crashes: 0, repeats: 0, ..TOY };
    let found = prove(toy);
    assert_eq!(found.story.as_ref().expect("a lost update").steps.len(), 4);
    assert!(found.to_string().contains("VIOLATED"), "{found}");
    prove(Toy { requests: 1, ..toy }).story.ok_or(()).expect_err("alone it is not lost, and not both");
}

#[test]
fn holds_expire_when_their_time_has_come_and_not_before() {
    let steps = |steps: &mut Steps<'_, '_>| {
        let id = 7 + u128::try_from(steps.place).expect("small");
        steps.tx.create_transfers(&[Transfer::new(id, 1, 2, 10, 356, 1).pending(5)]);
        Next::Done
    };
    let invariant = || {
        vec![
            Invariant::sometimes("held", |_, view| view.holds(2).1 == Amount(20)),
            Invariant::sometimes("one expired, one not", |_, view| {
                let phase = |id: u128| view.transfer(id).map(|(_, phase)| phase);
                phase(7) == Some(Phase::Expired) && phase(8) == Some(Phase::Pending)
            }),
            Invariant::sometimes("all expired", |_, view| {
                view.transfers().count() == 2 && view.transfers().all(|(_, phase)| phase == Phase::Expired)
            }),
        ]
    };
    prove(Toy { steps, invariant, requests: 2, ..TOY }).assert_proved();
}

#[test]
fn what_is_never_seen_and_what_is_cut_short_prove_nothing() {
    let invariant =
        || vec![Invariant::sometimes("money from nowhere", |_, view| view.balance(2).1 > Amount(0))];
    let unseen = prove(Toy { invariant, ..TOY });
    assert!(unseen.exhausted && !unseen.is_proved());
    assert_eq!(unseen.never_seen, ["money from nowhere"]);
    let toy = Toy { steps: money_then_row, requests: 6, crashes: 3, ..TOY };
    let cut = prove_with(toy, Limits { states_max: Some(2_000), ..Limits::default() }, &mut |_| {});
    assert!(!cut.exhausted && !cut.is_proved());
    assert!(cut.to_string().contains("NOT PROVED"), "{cut}");
}
