//! A bank: the participant of the commit protocol, and the process around it.
