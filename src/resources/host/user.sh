# Accounts: functions of the script that changes a host.
# user_put LOGIN SHELL GROUPS EXPIRES
user_put() {
    if [ ! -x "$2" ]; then fail "the shell $2 is not installed"; fi
    if getent passwd "$1" >/dev/null; then
        if ! owns host_user "$1"; then
            fail "$1 has an account already, which infra did not make. Rename it, remove it, or hand it over:" \
                "mkdir -p $owned/$stack/host_user; echo here > $owned/$stack/host_user/$1"
        fi
        own host_user "$1" here
        usermod -s "$2" -G "$3" -e "$4" "$1"
    else
        # A home without an account, where somebody removed ours by hand: with its number it is theirs again.
        number=
        if [ -e "/home/$1" ]; then
            number=$(stat -c %u "/home/$1")
            if ! owns host_user "$1" || [ "$number" -lt 1000 ] || getent passwd "$number" >/dev/null; then
                fail "there is no account $1, but /home/$1, which belongs to number $number: move it out of the way"
            fi
        fi
        own host_user "$1" here
        useradd ${number:+-u "$number"} -m -s "$2" -G "$3" -e "$4" "$1"
    fi
}
# as_user LOGIN COMMAND...: what is in a home is the user's: root must not follow links there.
as_user() {
    login=$1
    shift
    setpriv --reuid="$login" --regid="$(id -g "$login")" --init-groups --reset-env -- "$@"
}
# user_home LOGIN: there, theirs, and nobody else writes in it: sshd takes no keys from one that is not so.
user_home() {
    home=$(getent passwd "$1" | cut -d : -f 6)
    above=${home%/*}
    # Only where nobody but root could put something else in its place meanwhile.
    if [ "$(stat -L -c %u "${above:-/}")" != 0 ] || [ -n "$(find -L "${above:-/}" -maxdepth 0 -perm /022)" ] ||
        [ -L "$home" ]; then
        return 0
    fi
    if [ ! -e "$home" ]; then
        mkdir -m 700 "$home"
        if [ -d /etc/skel ]; then cp -RT /etc/skel "$home"; fi
        # The folder itself is the last: until then nobody else gets into it.
        find "$home" -depth -exec chown -h "$1:$(id -g "$1")" {} +
        mode=$(awk '$1 == "HOME_MODE" { print $2 }' /etc/login.defs)
        chmod "${mode:-750}" "$home"
        if command -v restorecon >/dev/null; then restorecon -R "$home"; fi
    fi
    case $(stat -c %U "$home") in "$1"|root) ;; *) chown -h "$1" "$home" ;; esac
    chmod go-w "$home"
}
# user_keys LOGIN: exactly the keys on standard input.
user_keys() {
    user_home "$1"
    as_user "$1" /bin/sh -c 'set -e; umask 077; cd
        # What is no folder of theirs, or a link that leads to none, is put aside: they may rename it, whosever it is.
        if { [ -e .ssh ] || [ -L .ssh ]; } && { [ ! -d .ssh ] || [ ! -O .ssh ]; }; then
            mv -T .ssh "$(mktemp -u .ssh.aside.XXXXXX)"
        fi
        mkdir -p .ssh
        chmod 700 .ssh
        rm -f .ssh/.infra
        cat >.ssh/.infra
        chmod 600 .ssh/.infra
        mv -fT .ssh/.infra .ssh/authorized_keys'
}
user_end_sessions() {
    loginctl terminate-user "$1" >/dev/null 2>&1 || true
    for try in 1 2 3 4 5; do
        pkill -KILL -u "$1" || return 0
        sleep 0.1
    done
}
# user_close LOGIN: nobody comes in, by key or password; the files stay.
user_close() {
    own host_user "$1" gone
    usermod -L -e 1970-01-02 -G '' "$1"
    if [ -d "$(getent passwd "$1" | cut -d : -f 6)" ]; then
        as_user "$1" /bin/sh -c 'cd && { rm -f .ssh/authorized_keys 2>/dev/null ||
            mv -T .ssh "$(mktemp -u .ssh.aside.XXXXXX)"; }'
    fi
    user_end_sessions "$1"
}
# user_delete LOGIN: with all that is in the home.
user_delete() {
    own host_user "$1" gone
    usermod -L -e 1970-01-02 "$1"
    user_end_sessions "$1"
    userdel -r "$1" 2>/dev/null || ! getent passwd "$1" >/dev/null
    forget host_user "$1"
}
