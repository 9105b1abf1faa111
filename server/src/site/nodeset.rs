//! Folded node sets, `ocean[1-16,20],admin1`, as ClusterShell writes them.
