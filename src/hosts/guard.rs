//! Changes that could lock us out: undone by the host itself unless a second connection proves that it still lets us in.

/// How long a change may stand without being confirmed, in seconds.
pub(super) const UNDO_SECONDS: u32 = 60;

/// Functions for the script that changes a host. `guard_file PATH` is called before a file that decides about logins
/// or about root is touched; the first call starts the timer, and undoes what an earlier run left unconfirmed.
pub(super) const FUNCTIONS: &str = r#"
reload_sshd() {
    for unit in ssh.service sshd.service; do
        if systemctl is-active -q "$unit" 2>/dev/null; then systemctl reload "$unit"; return; fi
    done
    # Started by a socket, each connection has a daemon of its own; without systemd there is a file.
    if [ -s /run/sshd.pid ]; then kill -HUP "$(cat /run/sshd.pid)"; fi
}
guard_begin() {
    if [ -e "$owned/guard" ] && [ ! -e "$work/guarding" ]; then sh "$owned/guard/undo"; fi
    if [ -e "$work/guarding" ]; then return 0; fi
    mkdir -m 700 "$owned/guard"
    {
        printf 'export PATH=/usr/sbin:/usr/bin:/sbin:/bin\nguard=%s\n' "$owned/guard"
        printf '[ -e "$guard" ] || exit 0\n. "$guard/restore"\n'
        printf 'for unit in ssh.service sshd.service; do\n'
        printf '    if systemctl is-active -q "$unit" 2>/dev/null; then systemctl reload "$unit"; done=1; fi\ndone\n'
        printf 'if [ -z "${done:-}" ] && [ -s /run/sshd.pid ]; then kill -HUP "$(cat /run/sshd.pid)"; fi\n'
        printf 'rm -rf "$guard"\n'
    } >"$owned/guard/undo"
    : >"$owned/guard/restore"
    if [ -d /run/systemd/system ]; then
        systemctl stop infra-undo.timer 2>/dev/null || true
        systemd-run --quiet --collect --unit=infra-undo --on-active="$undo_seconds" \
            --timer-property=AccuracySec=1s /bin/sh "$owned/guard/undo"
    else
        setsid sh -c "sleep $undo_seconds; exec sh '$owned/guard/undo'" >/dev/null 2>&1 </dev/null &
    fi
    : >"$work/guarding"
}
# What was changed since guard_begin is as it was before; a later change in this script begins anew.
guard_undo() {
    sh "$owned/guard/undo"
    systemctl stop infra-undo.timer 2>/dev/null || true
    rm -f "$work/guarding"
}
guard_file() {
    guard_begin
    saved="$owned/guard/$(printf %s "$1" | tr / _)"
    if [ -e "$saved" ]; then return 0; fi
    if [ -e "$1" ]; then
        cp -p "$1" "$saved"
        printf 'cp -p "%s" "%s"\n' "$saved" "$1" >>"$owned/guard/restore"
    else
        printf 'rm -f "%s"\n' "$1" >>"$owned/guard/restore"
    fi
}
"#;

/// What the second connection runs.
pub(super) fn confirm(owned: &str) -> String {
    format!(
        "export PATH=/usr/sbin:/usr/bin:/sbin:/bin
if [ ! -e {owned}/guard ]; then printf 'undone\\n'; exit 0; fi
sshd -t || exit 1
systemctl stop infra-undo.timer 2>/dev/null
rm -rf {owned}/guard
printf 'confirmed\\n'"
    )
}

/// What the first connection runs when the second one failed.
pub(super) fn undo(owned: &str) -> String {
    format!(
        "if [ -e {owned}/guard ]; then sh {owned}/guard/undo; fi
systemctl stop infra-undo.timer 2>/dev/null
printf 'undone\\n'"
    )
}
