//! Results of events. The order of declaration is the order of precedence: of several reasons to refuse an
//! event, the one declared first is its result.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Declares a result enum with the snake_case names of its variants.
macro_rules! statuses {
    ($(#[$doc:meta])* $status:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $status {
            $(
                #[doc = concat!("`", $name, "`")]
                $(#[$variant_doc])*
                #[serde(rename = $name)]
                $variant,
            )*
        }

        impl $status {
            /// Every result, highest precedence first.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in scripts, exports and documentation.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl fmt::Display for $status {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $status {
            type Err = UnknownStatus;
            fn from_str(name: &str) -> Result<Self, UnknownStatus> {
                Self::ALL.iter().copied().find(|status| status.as_str() == name).ok_or(UnknownStatus)
            }
        }
    };
}

/// The text is not the name of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a result")]
pub struct UnknownStatus;

statuses! {
    /// What became of an account that was to be created.
    CreateAccountStatus {
        Created = "created",
        LinkedEventFailed = "linked_event_failed",
        LinkedEventChainOpen = "linked_event_chain_open",
        ImportedEventExpected = "imported_event_expected",
        ImportedEventNotExpected = "imported_event_not_expected",
        TimestampMustBeZero = "timestamp_must_be_zero",
        ImportedEventTimestampOutOfRange = "imported_event_timestamp_out_of_range",
        ImportedEventTimestampMustNotAdvance = "imported_event_timestamp_must_not_advance",
        ReservedField = "reserved_field",
        ReservedFlag = "reserved_flag",
        IdMustNotBeZero = "id_must_not_be_zero",
        IdMustNotBeIntMax = "id_must_not_be_int_max",
        ExistsWithDifferentFlags = "exists_with_different_flags",
        ExistsWithDifferentUserData128 = "exists_with_different_user_data_128",
        ExistsWithDifferentUserData64 = "exists_with_different_user_data_64",
        ExistsWithDifferentUserData32 = "exists_with_different_user_data_32",
        ExistsWithDifferentLedger = "exists_with_different_ledger",
        ExistsWithDifferentCode = "exists_with_different_code",
        Exists = "exists",
        FlagsAreMutuallyExclusive = "flags_are_mutually_exclusive",
        DebitsPendingMustBeZero = "debits_pending_must_be_zero",
        DebitsPostedMustBeZero = "debits_posted_must_be_zero",
        CreditsPendingMustBeZero = "credits_pending_must_be_zero",
        CreditsPostedMustBeZero = "credits_posted_must_be_zero",
        LedgerMustNotBeZero = "ledger_must_not_be_zero",
        CodeMustNotBeZero = "code_must_not_be_zero",
        ImportedEventTimestampMustNotRegress = "imported_event_timestamp_must_not_regress",
    }
}

statuses! {
    /// What became of a transfer that was to be created.
    CreateTransferStatus {
        Created = "created",
        LinkedEventFailed = "linked_event_failed",
        LinkedEventChainOpen = "linked_event_chain_open",
        ImportedEventExpected = "imported_event_expected",
        ImportedEventNotExpected = "imported_event_not_expected",
        TimestampMustBeZero = "timestamp_must_be_zero",
        ImportedEventTimestampOutOfRange = "imported_event_timestamp_out_of_range",
        ImportedEventTimestampMustNotAdvance = "imported_event_timestamp_must_not_advance",
        ReservedFlag = "reserved_flag",
        IdMustNotBeZero = "id_must_not_be_zero",
        IdMustNotBeIntMax = "id_must_not_be_int_max",
        ExistsWithDifferentFlags = "exists_with_different_flags",
        ExistsWithDifferentPendingId = "exists_with_different_pending_id",
        ExistsWithDifferentTimeout = "exists_with_different_timeout",
        ExistsWithDifferentDebitAccountId = "exists_with_different_debit_account_id",
        ExistsWithDifferentCreditAccountId = "exists_with_different_credit_account_id",
        ExistsWithDifferentAmount = "exists_with_different_amount",
        ExistsWithDifferentUserData128 = "exists_with_different_user_data_128",
        ExistsWithDifferentUserData64 = "exists_with_different_user_data_64",
        ExistsWithDifferentUserData32 = "exists_with_different_user_data_32",
        ExistsWithDifferentLedger = "exists_with_different_ledger",
        ExistsWithDifferentCode = "exists_with_different_code",
        Exists = "exists",
        IdAlreadyFailed = "id_already_failed",
        FlagsAreMutuallyExclusive = "flags_are_mutually_exclusive",
        DebitAccountIdMustNotBeZero = "debit_account_id_must_not_be_zero",
        DebitAccountIdMustNotBeIntMax = "debit_account_id_must_not_be_int_max",
        CreditAccountIdMustNotBeZero = "credit_account_id_must_not_be_zero",
        CreditAccountIdMustNotBeIntMax = "credit_account_id_must_not_be_int_max",
        AccountsMustBeDifferent = "accounts_must_be_different",
        PendingIdMustBeZero = "pending_id_must_be_zero",
        PendingIdMustNotBeZero = "pending_id_must_not_be_zero",
        PendingIdMustNotBeIntMax = "pending_id_must_not_be_int_max",
        PendingIdMustBeDifferent = "pending_id_must_be_different",
        TimeoutReservedForPendingTransfer = "timeout_reserved_for_pending_transfer",
        ClosingTransferMustBePending = "closing_transfer_must_be_pending",
        LedgerMustNotBeZero = "ledger_must_not_be_zero",
        CodeMustNotBeZero = "code_must_not_be_zero",
        DebitAccountNotFound = "debit_account_not_found",
        CreditAccountNotFound = "credit_account_not_found",
        AccountsMustHaveTheSameLedger = "accounts_must_have_the_same_ledger",
        TransferMustHaveTheSameLedgerAsAccounts = "transfer_must_have_the_same_ledger_as_accounts",
        PendingTransferNotFound = "pending_transfer_not_found",
        PendingTransferNotPending = "pending_transfer_not_pending",
        PendingTransferHasDifferentDebitAccountId = "pending_transfer_has_different_debit_account_id",
        PendingTransferHasDifferentCreditAccountId = "pending_transfer_has_different_credit_account_id",
        PendingTransferHasDifferentLedger = "pending_transfer_has_different_ledger",
        PendingTransferHasDifferentCode = "pending_transfer_has_different_code",
        ExceedsPendingTransferAmount = "exceeds_pending_transfer_amount",
        PendingTransferHasDifferentAmount = "pending_transfer_has_different_amount",
        PendingTransferAlreadyPosted = "pending_transfer_already_posted",
        PendingTransferAlreadyVoided = "pending_transfer_already_voided",
        PendingTransferExpired = "pending_transfer_expired",
        ImportedEventTimestampMustNotRegress = "imported_event_timestamp_must_not_regress",
        ImportedEventTimestampMustPostdateDebitAccount = "imported_event_timestamp_must_postdate_debit_account",
        ImportedEventTimestampMustPostdateCreditAccount = "imported_event_timestamp_must_postdate_credit_account",
        ImportedEventTimeoutMustBeZero = "imported_event_timeout_must_be_zero",
        DebitAccountAlreadyClosed = "debit_account_already_closed",
        CreditAccountAlreadyClosed = "credit_account_already_closed",
        OverflowsDebitsPending = "overflows_debits_pending",
        OverflowsCreditsPending = "overflows_credits_pending",
        OverflowsDebitsPosted = "overflows_debits_posted",
        OverflowsCreditsPosted = "overflows_credits_posted",
        OverflowsDebits = "overflows_debits",
        OverflowsCredits = "overflows_credits",
        OverflowsTimeout = "overflows_timeout",
        ExceedsCredits = "exceeds_credits",
        ExceedsDebits = "exceeds_debits",
    }
}

impl CreateTransferStatus {
    /// Whether the same transfer could succeed at another time. Such a failure burns the transfer's id, so that a
    /// late repeat cannot do what the first try was told had failed.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::DebitAccountNotFound
                | Self::CreditAccountNotFound
                | Self::PendingTransferNotFound
                | Self::ExceedsCredits
                | Self::ExceedsDebits
                | Self::DebitAccountAlreadyClosed
                | Self::CreditAccountAlreadyClosed
        )
    }
}

/// The result of one account of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CreateAccountResult {
    /// Created, or why not.
    pub status: CreateAccountStatus,
    /// The created account's; for `exists` the original's; else the event's own.
    pub timestamp: Timestamp,
}

/// The result of one transfer of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CreateTransferResult {
    /// Created, or why not.
    pub status: CreateTransferStatus,
    /// The created transfer's; for `exists` the original's; else the event's own.
    pub timestamp: Timestamp,
}

impl CreateAccountResult {
    /// Whether the account is there, from now on or (`exists`) since an earlier try.
    #[must_use]
    pub fn is_there(&self) -> bool {
        matches!(self.status, CreateAccountStatus::Created | CreateAccountStatus::Exists)
    }
}

impl CreateTransferResult {
    /// Whether the transfer took place, now or (`exists`) at an earlier try.
    #[must_use]
    pub fn is_there(&self) -> bool {
        matches!(self.status, CreateTransferStatus::Created | CreateTransferStatus::Exists)
    }

    /// Why a batch, or a chain, is not there: the place and result of its first event that was refused for a reason of its
    /// own. `None` if all are there.
    ///
    /// ```
    /// use hundi_ledger::{CreateTransferResult, CreateTransferStatus::*, Timestamp};
    ///
    /// let chain = [LinkedEventFailed, ExceedsCredits, LinkedEventFailed];
    /// let results = chain.map(|status| CreateTransferResult { status, timestamp: Timestamp(1) });
    /// assert_eq!(CreateTransferResult::first_refusal(&results), Some((1, ExceedsCredits)));
    /// ```
    #[must_use]
    pub fn first_refusal(results: &[Self]) -> Option<(usize, CreateTransferStatus)> {
        let own = |result: &Self| result.status != CreateTransferStatus::LinkedEventFailed;
        results
            .iter()
            .enumerate()
            .find(|(_, result)| !result.is_there() && own(result))
            .map(|(place, result)| (place, result.status))
    }
}
