//! The one script that tells everything about a host. It changes nothing.
//!
//! What it prints are lines of fields with tabs between; texts are in base64. It reads what infra owns, and all
//! accounts: who can log in is a question about the whole host. Files that belong to users are opened only if they are
//! regular and not large: nothing that a user puts there may hold it up.

use super::{OWNED, shell::quote, sshd::DROP_IN};

const SCRIPT: &str = r#"
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
cd /
tab=$(printf '\t')
( . /etc/os-release; printf 'os\t%s\t%s\n' "${ID:-}" "${VERSION_ID:-}" ) 2>/dev/null
[ -e "$owned/guard" ] && printf 'guard\tpending\n'
owned_lines=
if [ -d "$owned/$stack" ]; then
    owned_lines=$(cd "$owned/$stack" && find . -type f -print0 | xargs -0 -r awk '{ print substr(FILENAME, 3) "\t" $0 }')
    printf '%s\n' "$owned_lines" | sed "s/^/owned$tab/"
fi
of_kind() { printf '%s\n' "$owned_lines" | awk -F '\t' -v kind="$1/" 'index($1, kind) == 1 { print $'"$2"' }'; }
getent passwd | sed "s/^/passwd$tab/"
getent group | sed "s/^/group$tab/"
awk -F : '{ print "shadow\t" $1 "\t" $2 "\t" $3 "\t" $8 }' /etc/shadow

# Keys of everybody who could log in.
getent passwd | awk -F : '($3 == 0 || $3 >= 1000) && $6 ~ /^\/[^\/]/ { print $6 "/.ssh/authorized_keys" }' | sort -u |
    xargs -r -d '\n' sh -c 'find "$@" -maxdepth 0 -type f -size -256k -printf "keys\t%p\t%m\t%u\n" 2>/dev/null' find |
    while IFS="$tab" read -r tag path mode owner; do
        printf '%s\t%s\t%s\t%s\n' "$tag" "$path" "$mode" "$owner"
        while IFS= read -r line || [ -n "$line" ]; do
            case $line in ''|'#'*) ;; *) printf 'key\t%s\n' "$line" ;; esac
        done <"$path"
    done
# What they lie in: sshd takes none from a folder that others can write in.
getent passwd | awk -F : '($3 == 0 || $3 >= 1000) && $6 ~ /^\/[^\/]/ { print $6; print $6 "/.ssh" }' | sort -u |
    xargs -r -d '\n' sh -c 'find -L "$@" -maxdepth 0 -type d -printf "folder\t%p\t%m\t%u\n" 2>/dev/null' find

# What decides about root and about logins.
text() { [ -f "$1" ] && printf '%s\t%s\t%s\t%s\n' "$2" "$1" "$(stat -c %a:%U:%G "$1")" "$(base64 -w0 <"$1")"; }
for path in /etc/sudoers /etc/sudoers.d/*; do text "$path" sudoers; done
for path in /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf; do text "$path" sshd_file; done
# Whether a Match block is read before our file, or anywhere where there is none.
sshd_match() {
    if [ -e "$drop_in" ] && head -n 1 /etc/ssh/sshd_config | grep -qxF "Include $drop_in"; then return 1; fi
    for path in /etc/ssh/sshd_config.d/*.conf; do
        if [ "$path" = "$drop_in" ]; then break; fi
        if grep -qi '^[[:space:]]*match' "$path" 2>/dev/null; then return 0; fi
    done
    # In the main file, what stands below the line that includes ours counts for nothing.
    upto='$'
    if [ -e "$drop_in" ]; then upto='/^[[:space:]]*[Ii][Nn][Cc][Ll][Uu][Dd][Ee]/'; fi
    sed "${upto}q" /etc/ssh/sshd_config | grep -qi '^[[:space:]]*match'
}
if command -v sshd >/dev/null; then
    somebody=$(of_kind host_user 1 | sed -n '1s/.*\///p')
    sshd -T 2>&1 | sed "s/^/sshd$tab/"
    # Match blocks count for a somebody only.
    sshd -T -C "user=${somebody:-nobody},host=somewhere,addr=198.51.100.1" 2>&1 | sed "s/^/sshd_user$tab/"
    # One that is read before our file may be about anybody: then everybody who could log in is asked about.
    if sshd_match; then
        getent passwd | awk -F : '($3 == 0 || $3 >= 1000) && $7 !~ /\/(nologin|false)$/ { print $1 }' |
            while read -r login; do
                sshd -T -C "user=$login,host=somewhere,addr=198.51.100.1" 2>/dev/null </dev/null |
                    sed "s/^/sshd_login$tab$login$tab/"
            done
    fi
fi

# Files, units, packages and environments that are ours.
paths=$( { of_kind file 2; of_kind service 2; of_kind docker 2; } | awk '{ print $1 }' )
if [ -n "$paths" ]; then
    printf '%s\n' "$paths" | xargs -d '\n' sh -c 'find "$@" -maxdepth 0 -type f -printf "file\t%p\t%m\t%u\t%g\n" 2>/dev/null; sha256sum -- "$@" 2>/dev/null' find |
        sed 's/^\([0-9a-f]\{64\}\) [ *]\(.*\)/sha256\t\2\t\1/'
fi
# systemd tells nothing of a unit that is a template for others.
units=$(of_kind service 1 | sed 's/.*\///; /@\./d')
if [ -n "$units" ] || [ -n "$(of_kind docker 1)" ]; then
    systemctl show -p Id -p LoadState -p ActiveState -p SubState -p UnitFileState -p NeedDaemonReload $units docker.service 2>/dev/null |
        awk -F = '/^Id=/ { id = $2 } /^[A-Z]/ { print "unit\t" $1 "\t" $2 } /^$/ { print "unit\t\t" }'
    printf 'unit\t\t\n'
fi
packages=$( { of_kind package 2; [ -n "$(of_kind docker 1)" ] && printf 'docker.io\n'; } | tr ' ' '\n' | sort -u )
if [ -n "$packages" ]; then
    if command -v dpkg-query >/dev/null; then
        dpkg-query -W -f 'package\t${Package}\t${db:Status-Status}\t${Version}\n' $packages 2>/dev/null
    else
        rpm -q --qf 'package\t%{NAME}\tinstalled\t%{VERSION}-%{RELEASE}\n' $packages 2>/dev/null | grep "^package$tab"
    fi
fi
of_kind python_venv 2 | while read -r path rest; do
    [ -x "$path/bin/python" ] || continue
    printf 'venv\t%s\t%s\n' "$path" "$("$path/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)"
    find "$path"/lib/python*/site-packages -maxdepth 1 -name '*.dist-info' -printf 'dist\t%f\n' 2>/dev/null
done
if command -v lastlog >/dev/null; then
    lastlog 2>/dev/null | awk 'NR > 1 && !/Never logged in/ { login = $1; sub(/^[^ ]+ +/, ""); print "lastlog\t" login "\t" $0 }'
fi
printf 'end\n'
"#;

/// The probe for the hosts of `stack`.
pub(super) fn script(stack: &str) -> String {
    format!("owned={OWNED}\nstack={}\ndrop_in={DROP_IN}\n{SCRIPT}", quote(stack))
}
