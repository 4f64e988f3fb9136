//! The properties in sentences: what each asks for, and what it costs to break it.

use crate::world::properties::Prop;

/// What a property asks for, in a sentence.
pub(super) fn expected(prop: Prop) -> &'static str {
    match prop {
        Prop::NodesDoNotStop => {
            "whatever arrives, no node stops; what a bank voted yes on it can always post"
        }
        Prop::BooksBalance => "in each bank and currency, debits equal credits",
        Prop::LedgerFollowsVotes => "each balance is what deposits and the votes on record make it",
        Prop::MoneyIsConserved => {
            "the clearing of each bank is what its committed payments make it, so that over all banks it is zero when \
             all have posted"
        }
        Prop::WithinLimits => "what a customer has paid or has on hold is never more than came in",
        Prop::NoSplitOutcome => "a payment is a commit at every bank or an abort at every bank",
        Prop::ProofBeforePost => "a leg is posted only when every bank's yes is on its disk",
        Prop::ProofBeforeVoid => {
            "a hold is released only when another bank's refusal is final, and no yes set complete"
        }
        Prop::OneVote => "a bank gives one answer on a payment, to whoever asks and for good",
        Prop::RecordsStay => "a record stays as it is until it is settled, and a yes stays for ever",
        Prop::SaidIsOnDisk => "whatever a bank said, its disk would say again after a crash",
        Prop::ToldStaysTrue => "what a customer was told is how the payment ends everywhere",
        Prop::OneOrderPerId => "of several orders of one payer with the same id, one at most is carried out",
        Prop::VotesAreDeserved => "a yes when nothing speaks against it, else a no with a true reason",
        Prop::RefusalLeavesNothing => "no entry in the ledger belongs to an order that was refused",
        Prop::HoldsDoNotExpire => "no hold of a payment has a timeout",
        Prop::ClosedIsEmpty => "an account that is closed has no money, and no holds",
        Prop::PayerLast => {
            "the payer's bank is asked last, when every other bank has said yes: it posts, and never holds"
        }
        Prop::FloorRises => "the floor rises to what the operator asked for and never falls",
        Prop::TwoFacedIsCaught => {
            "who has seen a bank's yes and its no on one payment keeps both as proof, and reports it"
        }
        Prop::HonestIsNotAccused => "no proof names a bank that voted once",
        Prop::AsksWhatIsOpen => "a bank asks about each payment in doubt, and about no other",
        Prop::RolesAreKept => "each node sends only what its role may",
        Prop::OperatorsAreToldTrue => "what an operator was told is so, and on disk",
        Prop::Settles => {
            "though all that is under way be lost, from here on every payment ends and its customer hears how, if nothing \
             else fails and customers ask again"
        }
        Prop::SettlesWithoutCoordinators => {
            "though all that is under way be lost, from here on the banks settle what they hold, if nothing else fails, \
             and without any coordinator"
        }
        Prop::SettlesWithoutBanksAsking => {
            "though all that is under way be lost, from here on coordinators settle everything, if nothing else fails, \
             and without a bank or a customer asking again"
        }
        Prop::SettlesWithoutOneBank => {
            "though all that is under way be lost, from here on the other banks settle what they hold, if nothing else \
             fails, and without one payee's bank"
        }
    }
}

/// What it costs when a property is broken, where the state does not say it in sums.
pub(super) fn harm(prop: Prop) -> &'static str {
    match prop {
        Prop::OneVote | Prop::RecordsStay | Prop::SaidIsOnDisk => {
            "asked once more, the bank may say the opposite; one half of the payment commits and the other does not"
        }
        Prop::ProofBeforePost => {
            "a bank whose yes is missing may still refuse: then half of the payment is posted"
        }
        Prop::ProofBeforeVoid => {
            "the money is free to be spent while the complete yes set proves a commit: the others may post, and claim it"
        }
        Prop::ToldStaysTrue => "the customer acts on an outcome that is not the outcome",
        Prop::VotesAreDeserved => {
            "an order is carried out that must not be, or refused without a reason that holds"
        }
        Prop::RefusalLeavesNothing => "money moved for an order that was refused",
        Prop::HoldsDoNotExpire => {
            "the hold runs out by itself, and the bank cannot post what it voted yes on"
        }
        Prop::AsksWhatIsOpen => {
            "a payment in doubt that nobody asks about stays in doubt, and its money on hold"
        }
        Prop::WithinLimits => "the bank pays out money that the customer does not have",
        Prop::ClosedIsEmpty => "money is left on an account that nobody may use any more",
        Prop::FloorRises => "a refusal may be forgotten that an order could still turn into a yes",
        Prop::HonestIsNotAccused => "a bank that did nothing wrong is made to pay",
        Prop::RolesAreKept => "the other side closes the link",
        Prop::OperatorsAreToldTrue => "the operator acts on what is not so, or what a crash takes back",
        _ => "money is not where the records say",
    }
}
