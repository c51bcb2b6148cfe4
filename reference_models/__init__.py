"""Models that produce images under test. The paper's DRN is the first; see the README of this folder."""
