//! What is below an overlay: one read-only volume, or several, the uppermost first.

use serde::{Deserialize, Deserializer, de};

/// No mount point has more of them. overlayfs takes 500 (fs/overlayfs/params.h, OVL_MAX_STACK); so many names fit into the
/// one page that mount(2) copies of its options.
pub const MOST_LOWERS: usize = 8;

/// The volumes below an overlay, the uppermost first: what is in one hides what has the same name in those behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lowers(pub Vec<Lower>);

/// A volume, and what is on it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Lower {
    /// `/dev/mapper/luks_root1`
    pub volume: String,
    /// The type of its file system; none: that of the mount point, else found out.
    pub fs: Option<String>,
}

impl Lowers {
    /// One volume.
    pub fn one(volume: impl Into<String>) -> Lowers {
        Lowers(vec![Lower { volume: volume.into(), fs: None }])
    }

    /// The paths of the volumes.
    pub fn volumes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|lower| lower.volume.as_str())
    }

    /// The names of the volumes below `/dev/mapper`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.volumes().filter_map(|volume| volume.strip_prefix("/dev/mapper/"))
    }
}

impl std::fmt::Display for Lowers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, volume) in self.volumes().enumerate() {
            let before = if at == 0 { "" } else { " over " };
            write!(f, "{before}{volume}")?;
        }
        Ok(())
    }
}

/// As a plan writes one of several.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub(super) enum Written {
    Volume(String),
    Object(Lower),
}

impl From<Written> for Lower {
    fn from(written: Written) -> Lower {
        match written {
            Written::Volume(volume) => Lower { volume, fs: None },
            Written::Object(lower) => lower,
        }
    }
}

impl<'de> Deserialize<'de> for Lowers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Lowers, D::Error> {
        struct Either;

        impl<'de> de::Visitor<'de> for Either {
            type Value = Lowers;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a volume, or a list of volumes")
            }

            fn visit_str<E: de::Error>(self, volume: &str) -> Result<Lowers, E> {
                Ok(Lowers::one(volume))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Lowers, A::Error> {
                let mut lowers = Vec::new();
                while let Some(written) = list.next_element::<Written>()? {
                    lowers.push(written.into());
                }
                Ok(Lowers(lowers))
            }
        }

        from.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_several() {
        let read = |text: &str| serde_json::from_str::<Lowers>(text);
        let one = read("\"/dev/mapper/a\"").unwrap();
        assert_eq!(one, Lowers::one("/dev/mapper/a"));
        let several =
            read(r#"["/dev/mapper/a", { "volume": "/dev/mapper/b", "fs": "erofs" }, { "volume": "c" }]"#);
        let several = several.unwrap();
        assert_eq!(several.to_string(), "/dev/mapper/a over /dev/mapper/b over c");
        assert_eq!(several.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(several.0[1].fs.as_deref(), Some("erofs"));
        for wrong in ["1", "{}", "[1]", r#"[{ "volume": "a", "type": "ext4" }]"#, "null"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
