//! DECIDE: what a DHCP server has to know, in its own words.
