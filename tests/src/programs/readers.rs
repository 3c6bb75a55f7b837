//! Clients of the control socket that mean harm: a user who may only read, as perl speaks for it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use nix::unistd::Group;

use crate::machine::namespace::Namespace;
use crate::machine::process::{Output, Process};

/// A group that exists on every host, and has no members.
pub const GROUP: &str = "daemon";

/// What the clients do, by their first word. Each goes on until it is ended.
///
/// `check FILE`: sends the file's contents to be checked, again and again.
/// `slowly N`: holds N connections on which a header never ends, with a letter a second.
/// `connect`: opens connections as fast as it can, keeps 900 of them, and sends nothing.
const SCRIPT: &str = r#"
use strict; use IO::Socket::UNIX; $SIG{PIPE} = 'IGNORE'; $| = 1;
my ($socket, $what, $with) = @ARGV;
sub opened { return IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $socket) }
if ($what eq 'check') {
    open(my $file, '<', $with) or die $!; local $/; my $body = <$file>;
    my $head = "POST /v1/policy/check HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        . "content-type: application/json\r\ncontent-length: " . length($body) . "\r\n\r\n";
    while (1) {
        my $to = opened() or next;
        print $to $head; print $to $body; shutdown($to, 1);
        my $answer = <$to>;
    }
} elsif ($what eq 'slowly') {
    my @all = ();
    while (1) {
        while (@all < $with) {
            my $to = opened() or next; print $to "GET /v1/stats HTTP/1.1\r\nx: "; push @all, $to;
        }
        sleep 1;
        @all = grep { $_->syswrite('x') } @all;
    }
} elsif ($what eq 'connect') {
    my @all = ();
    while (1) { my $to = opened() or next; push @all, $to; shift @all if @all > 900; }
}
"#;

/// A user of the group who may only read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// Where it is.
    pub host: &'a Namespace,
    /// Its user id.
    pub uid: u32,
}

impl Reader<'_> {
    /// Starts a client that means harm.
    pub fn attack(&self, socket: &Path, words: &[&str]) -> Result<Process> {
        let mut command = self.command("perl")?;
        command.args(["-e", SCRIPT]).arg(socket).args(words);
        self.host.spawn(&command)
    }

    /// Runs a program to its end.
    pub fn run(&self, program: &str, words: &[&str]) -> Result<Output> {
        let mut command = self.command(program)?;
        command.args(words);
        self.host.output(&command)
    }

    fn command(&self, program: &str) -> Result<Command> {
        let group = Group::from_name(GROUP)?.context("no such group")?;
        let (uid, gid) = (self.uid.to_string(), group.gid.to_string());
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &uid, "--regid", &gid, "--clear-groups", program]);
        Ok(command)
    }
}
