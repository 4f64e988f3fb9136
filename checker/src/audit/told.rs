//! Customers: what they were told is in the books.

use hundi_protocol::{BankName, Certificate, Outcome, UncheckedCertificate, Verifier};

use super::Payments;
use super::findings::Findings;

/// Holds every certificate that a customer got against the books of every bank that its order names.
pub(super) fn check(
    told: Vec<UncheckedCertificate>,
    payments: &Payments,
    verifier: &mut Verifier,
    findings: &mut Findings,
) {
    for unchecked in told {
        let digest = unchecked.order.digest();
        match unchecked.check(verifier) {
            Ok(certificate) => {
                findings.certificates_checked += 1;
                if let Err(what) = holds(&certificate, payments) {
                    findings.acknowledged_lost += 1;
                    findings.offend(None, Some(digest), what);
                }
            }
            Err(error) => {
                findings.offend(
                    None,
                    Some(digest),
                    format!("the certificate given to the customer: {error}"),
                );
            }
        }
    }
}

/// A commit is at every bank, at least as a hold that its proof will post. An abort is posted nowhere.
fn holds(certificate: &Certificate, payments: &Payments) -> Result<(), String> {
    let positions = payments.get(&certificate.payment()).map(|view| &view.positions);
    let position = |bank: &BankName| positions.and_then(|positions| positions.get(bank));
    for bank in certificate.order().banks() {
        match (certificate.outcome(), position(bank)) {
            (Outcome::Commit, None) => {
                return Err(format!("the customer was told commit, and bank {bank} has no record of it"));
            }
            (Outcome::Commit, Some(position))
                if !position.decision.is_yes() || position.settled == Some(Outcome::Abort) =>
            {
                return Err(format!("the customer was told commit, and bank {bank} refused it"));
            }
            (Outcome::Abort, Some(position)) if position.settled == Some(Outcome::Commit) => {
                return Err(format!("the customer was told abort, and bank {bank} has posted it"));
            }
            _ => {}
        }
    }
    Ok(())
}
