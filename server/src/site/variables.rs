//! `${node}` in the strings of boot plans and kernel command lines.

use super::file::File;
use super::{Node, Origin};

/// What variables stand for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Values<'a> {
    /// `${node}`: the node's name.
    pub node: &'a str,
    /// `${image}`: the name of its image.
    pub image: &'a str,
    /// `${profile}`: the name of its profile.
    pub profile: &'a str,
    /// `${url}`: `server.url`, without a slash at its end.
    pub url: &'a str,
    /// `${group}`, in what a group says, and `${server}`, in what an iSCSI server says: its name.
    pub whose: Option<&'a Origin>,
}

impl<'a> Values<'a> {
    /// Those in what `whose` says of `node`.
    pub fn of(file: &'a File, node: &'a Node, whose: &'a Origin) -> Values<'a> {
        Values {
            node: &node.name,
            image: node.image.as_deref().unwrap_or_default(),
            profile: node.profile.as_deref().unwrap_or_default(),
            url: file.server.url.trim_end_matches('/'),
            whose: Some(whose),
        }
    }

    /// The value of a variable; none: there is no such variable here.
    fn get(&self, name: &str) -> Option<&'a str> {
        match (name, self.whose) {
            ("node", _) => Some(self.node),
            ("image", _) => Some(self.image),
            ("profile", _) => Some(self.profile),
            ("url", _) => Some(self.url),
            ("group", Some(Origin::Group(name))) => Some(name),
            ("server", Some(Origin::Server(name))) => Some(name),
            _ => None,
        }
    }

    /// `text` with the values of its variables; `$${` is `${`. A variable that is none stays as it is.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Variable(name) => match self.get(name) {
                    Some(value) => filled.push_str(value),
                    None => filled.extend(["${", name, "}"]),
                },
            }
        }
        filled
    }

    /// The variables in `text` that are none.
    pub fn unknown<'t>(&self, text: &'t str) -> impl Iterator<Item = &'t str> {
        pieces(text).into_iter().filter_map(|piece| match piece {
            Piece::Variable(name) if self.get(name).is_none() => Some(name),
            _ => None,
        })
    }
}

enum Piece<'t> {
    Text(&'t str),
    Variable(&'t str),
}

fn pieces(mut text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    while let Some((before, rest)) = text.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            pieces.extend([Piece::Text(before), Piece::Text("${")]);
            text = rest;
        } else if let Some((name, after)) = rest.split_once('}') {
            pieces.extend([Piece::Text(before), Piece::Variable(name)]);
            text = after;
        } else {
            break;
        }
    }
    pieces.push(Piece::Text(text));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables() {
        let group = Origin::Group("gpu".to_owned());
        let values = Values { node: "n1", image: "el9", profile: "", url: "http://s", whose: Some(&group) };
        let cases = [
            ("", "", ""),
            ("plain $node {node}", "plain $node {node}", ""),
            ("${node}-${image}${profile}", "n1-el9", ""),
            ("${url}/files/${group}.key", "http://s/files/gpu.key", ""),
            ("${server} ${HOME} ${node}", "${server} ${HOME} n1", "server HOME"),
            ("$${node} is ${node}", "${node} is n1", ""),
            ("$${HOME}/$$${x}", "${HOME}/$${x}", ""),
            ("${node", "${node", ""),
            ("}${}", "}${}", ""),
        ];
        for (text, filled, unknown) in cases {
            assert_eq!(values.fill(text), filled, "{text}");
            assert_eq!(values.unknown(text).collect::<Vec<_>>().join(" "), unknown, "{text}");
        }
        assert_eq!(values.unknown("${}").count(), 1);
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_filled(text in "[${}noderé]{0,30}") {
            let _ = Values::default().fill(&text);
        }
    }
}
