//! TELL: programs that want to know what nodes say.
