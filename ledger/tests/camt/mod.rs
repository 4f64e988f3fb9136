//! What of the schema camt.053.001.08 our messages use: elements, their order, how often, and how long a text is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

/// An element with its attributes as written, its text or its children.
#[derive(Debug)]
pub(crate) struct Element {
    name: String,
    attributes: String,
    text: String,
    children: Vec<Element>,
}

/// The children of an element in the order of the schema: `+` for one or more, `*` for any number, `?` for at most
/// one, else exactly one. A single word in capitals is the type of a text.
const SCHEMA: &[(&str, &str)] = &[
    ("Document", "BkToCstmrStmt"),
    ("BkToCstmrStmt", "GrpHdr Stmt+"),
    ("GrpHdr", "MsgId CreDtTm"),
    ("Stmt", "Id CreDtTm? FrToDt? Acct Bal+ Ntry*"),
    ("FrToDt", "FrDtTm ToDtTm"),
    ("Acct", "Id Ccy? Nm?"),
    ("DbtrAcct", "Id Ccy? Nm?"),
    ("CdtrAcct", "Id Ccy? Nm?"),
    ("Bal", "Tp Amt CdtDbtInd Dt"),
    ("Tp", "CdOrPrtry"),
    ("CdOrPrtry", "Cd"),
    ("Dt", "DtTm"),
    ("BookgDt", "DtTm"),
    ("ValDt", "DtTm"),
    ("Ntry", "NtryRef? Amt CdtDbtInd Sts BookgDt? ValDt? AcctSvcrRef? BkTxCd NtryDtls*"),
    ("Sts", "Cd"),
    ("BkTxCd", "Prtry?"),
    ("Prtry", "Cd"),
    ("NtryDtls", "TxDtls*"),
    ("TxDtls", "Refs? RltdPties?"),
    ("Refs", "AcctSvcrRef? EndToEndId?"),
    ("RltdPties", "Dbtr? DbtrAcct? Cdtr? CdtrAcct?"),
    ("Dbtr", "Pty"),
    ("Cdtr", "Pty"),
    ("Pty", "Nm?"),
    ("Othr", "Id"),
];

pub(crate) fn parse(message: &str) -> Element {
    let rest =
        message.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").expect("an XML declaration");
    let (element, rest) = parse_element(rest);
    assert_eq!(rest.trim(), "", "nothing behind the document");
    element
}

fn parse_element(text: &str) -> (Element, &str) {
    let text = text.trim_start().strip_prefix('<').expect("an element");
    let (tag, mut rest) = text.split_once('>').expect("a tag");
    let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
    let (name, attributes) = (name.to_owned(), attributes.to_owned());
    let end = format!("</{name}>");
    let mut children = Vec::new();
    loop {
        if let Some(rest) = rest.trim_start().strip_prefix(&end).filter(|_| !children.is_empty()) {
            return (Element { name, attributes, text: String::new(), children }, rest);
        }
        let inner = rest.trim_start();
        if inner.starts_with('<') && !inner.starts_with("</") {
            let (child, after) = parse_element(rest);
            children.push(child);
            rest = after;
            continue;
        }
        let (text, rest) = rest.split_once('<').expect("an end");
        let rest = rest.strip_prefix(&end[1..]).expect("its own end");
        let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        return (Element { name, attributes, text, children }, rest);
    }
}

/// All texts at a path below the document.
pub(crate) fn texts(document: &Element, path: &str) -> Vec<String> {
    let mut found = vec![document];
    for name in path.split('/') {
        found =
            found.iter().flat_map(|element| &element.children).filter(|child| child.name == name).collect();
    }
    found.into_iter().map(|element| element.text.clone()).collect()
}

/// Checks a message against the part of the schema that we use, and that its balances follow from its entries.
pub(crate) fn check(message: &str) {
    let document = parse(message);
    assert_eq!(document.name, "Document");
    assert_eq!(document.attributes, "xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\"");
    check_element(&document, "");
    for statement in document.children[0].children.iter().filter(|child| child.name == "Stmt") {
        check_balances(statement);
    }
}

fn check_element(element: &Element, parent: &str) {
    // `Id` of an account is a choice, elsewhere a text.
    let is_account = ["Acct", "DbtrAcct", "CdtrAcct"].contains(&parent);
    let content = match (element.name.as_str(), is_account) {
        ("Id", true) => Some("Othr"),
        (name, _) => SCHEMA.iter().find(|(known, _)| *known == name).map(|(_, content)| *content),
    };
    let Some(content) = content else { return check_text(element, parent) };
    let mut children = element.children.iter().peekable();
    for wanted in content.split(' ') {
        let name = wanted.trim_end_matches(['?', '*', '+']);
        let count = std::iter::from_fn(|| children.next_if(|child| child.name == name)).count();
        let allowed = match wanted.chars().last() {
            Some('?') => count <= 1,
            Some('*') => true,
            Some('+') => count >= 1,
            _ => count == 1,
        };
        assert!(allowed, "{count} times {name} in {}", element.name);
    }
    assert!(children.next().is_none(), "an element out of order in {}: {element:?}", element.name);
    element.children.iter().for_each(|child| check_element(child, &element.name));
}

fn check_text(element: &Element, parent: &str) {
    let text = element.text.as_str();
    let length = text.chars().count();
    let fits = match (element.name.as_str(), parent) {
        ("Nm", _) => (1..=70).contains(&length),
        ("Id", "Othr") => (1..=34).contains(&length),
        ("MsgId" | "Id" | "NtryRef" | "AcctSvcrRef" | "EndToEndId" | "Cd", _) => (1..=35).contains(&length),
        ("Ccy", _) => is_currency(text),
        ("Amt", _) => {
            let currency = element.attributes.strip_prefix("Ccy=\"").and_then(|rest| rest.strip_suffix('"'));
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            let fraction = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
            let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            currency.is_some_and(is_currency) && plain && digits <= 18 && fraction <= 5
        }
        ("CdtDbtInd", _) => ["CRDT", "DBIT"].contains(&text),
        ("CreDtTm" | "FrDtTm" | "ToDtTm" | "DtTm", _) => {
            hundi_ledger::export::DateTime::parse(text).is_some()
        }
        _ => false,
    };
    assert!(fits && element.children.is_empty(), "{element:?} in {parent}");
    assert!(!text.chars().any(char::is_control), "{element:?}");
}

fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn check_balances(statement: &Element) {
    let signed = |element: &Element| {
        let child = |name: &str| &element.children.iter().find(|child| child.name == name).unwrap().text;
        let amount: i128 = child("Amt").replace('.', "").parse().unwrap();
        if child("CdtDbtInd") == "CRDT" { amount } else { -amount }
    };
    let all = |name: &'static str| statement.children.iter().filter(move |child| child.name == name);
    let balances: Vec<i128> = all("Bal").map(signed).collect();
    let entries: i128 = all("Ntry").map(signed).sum();
    assert_eq!(balances.len(), 2);
    assert_eq!(balances[0] + entries, balances[1], "opening + entries = closing");
}
