# bash completion for ferryd. The options are those that `ferryd --help` shows, so that
# this file never lags behind.

# The usage text, one option on a line: its names, its value ("" for none).
_ferryd_options() {
    ferryd --help 2>/dev/null | awk '
        /^ *-[^ ]/ {
            value = ""; names = ""
            for (i = 1; i <= NF && $i ~ /^-/; i++) {
                name = $i; sub(/,$/, "", name)
                sub(/\[=.*/, "", name) # A value that may be left out.
                if ((at = index(name, "=")) > 0) { value = substr(name, at + 1); name = substr(name, 1, at - 1) }
                names = names " " name
            }
            print names "\t" value
        }'
}

# What may follow the option $1.
_ferryd_value() {
    _ferryd_options | awk -F '\t' -v wanted="$1" '
        { n = split($1, names, " "); for (i = 1; i <= n; i++) if (names[i] == wanted) print $2 }'
}

_ferryd() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} value
    COMPREPLY=()
    # bash makes words of --name=value: "--name", "=", "value".
    if [ "$current" = = ]; then
        current=
    elif [ "$previous" = = ]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if [ "${previous#-}" != "$previous" ]; then
        value=$(_ferryd_value "$previous")
        case $value in
            "") ;;
            FILE) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
            DIR) mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
            USER* | NAME) mapfile -t COMPREPLY < <(compgen -u -- "$current"); return ;;
            *"|"*) mapfile -t COMPREPLY < <(compgen -W "${value//|/ }" -- "$current"); return ;;
            *) return ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "who kick $(_ferryd_options | cut -f 1)" -- "$current")
}

complete -F _ferryd ferryd
