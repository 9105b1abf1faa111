//! Words of a kernel command line, put together of several layers.

/// Words for the kernel; those of one layer replace all that came before them and have the same name.
#[derive(Debug, Default)]
pub struct Words(Vec<String>);

impl Words {
    /// Puts a layer's words on top.
    pub fn add(&mut self, text: &str) {
        let new = words(text);
        self.0.retain(|old| !new.iter().any(|new| name(new) == name(old)));
        self.0.extend(new);
    }

    /// Takes those of these names (with `_` for `-`) away.
    pub fn remove(&mut self, names: &[impl AsRef<str>]) {
        self.0.retain(|word| !names.iter().any(|other| other.as_ref() == name(word)));
    }

    /// Each with its name, as the kernel compares names.
    pub fn by_name(&self) -> impl Iterator<Item = (String, &str)> {
        self.0.iter().map(|word| (name(word), word.as_str()))
    }

    /// All of them.
    pub fn text(&self) -> String {
        self.0.join(" ")
    }
}

/// Blanks within double quotes part no words (Documentation/admin-guide/kernel-parameters.rst); the quotes stay.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '"';
        if c.is_whitespace() && !quoted {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// To the kernel `-` and `_` are the same in names.
fn name(word: &str) -> String {
    let word = word.trim_start_matches('"');
    word.split('=').next().unwrap_or_default().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_replace_those_of_the_same_name() {
        let cases: [(&[&str], &str); 6] = [
            (&["quiet console=tty0 console=ttyS0"], "quiet console=tty0 console=ttyS0"),
            (&["console=tty0 console=ttyS0 quiet", "console=ttyS1"], "quiet console=ttyS1"),
            (&["rd.debug a_b=1", "a-b=2"], "rd.debug a-b=2"),
            (&["dyndbg=\"file a.c +p\" x", "  y  "], "dyndbg=\"file a.c +p\" x y"),
            (&["quiet", "quiet"], "quiet"),
            (&["", " "], ""),
        ];
        for (layers, expected) in cases {
            let mut words = Words::default();
            layers.iter().for_each(|layer| words.add(layer));
            assert_eq!(words.text(), expected, "{layers:?}");
        }
    }
}
