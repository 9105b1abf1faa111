use super::*;

#[test]
fn redirections_name_an_address() {
    for (to, address) in [
        ("198.18.0.2:3261,1", Some("198.18.0.2:3261")),
        ("198.18.0.2:3261", Some("198.18.0.2:3261")),
        ("198.18.0.2,1", Some("198.18.0.2:3260")),
        ("[fd00::2]:3261,1", Some("[fd00::2]:3261")),
        ("[fd00::2]", Some("[fd00::2]:3260")),
        ("store.example:3260,1", None),
        ("", None),
        ("198.18.0.2:99999", None),
    ] {
        assert_eq!(redirection(to), address.map(|address| address.parse().unwrap()), "{to}");
    }
}
