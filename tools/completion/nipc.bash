# SPDX-License-Identifier: MIT
# bash completion for nipc(1)

_nipc_endpoints()
{
        local dir=${NIPC_RUN_DIR:-} base='' boot i
        for ((i = 1; i < COMP_CWORD; i++)); do
                [[ ${COMP_WORDS[i]} == --run-dir ]] && dir=${COMP_WORDS[i + 1]}
                [[ ${COMP_WORDS[i]} == --run-base ]] && base=${COMP_WORDS[i + 1]}
        done
        [[ $dir ]] || base=${base:-${NIPC_RUN_BASE:-}}
        if [[ $base ]] && read -r boot </proc/sys/kernel/random/boot_id; then
                dir=$base/$EUID-$boot
        fi
        dir=${dir:-${XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/nipc}}
        local path
        for path in "${dir:-/run/nipc}"/*.sock; do
                [[ -S $path ]] || continue
                path=${path##*/}
                printf '%s\n' "${path%.sock}"
        done
}

_nipc_options()
{
        local profiles='baseline shm-hybrid shm-busywait ring all'
        local subjects='baseline shm-hybrid ring bare-seqpacket bare-shm bare-futex bare-spin128
                bare-epoll bare-epoll-mt bare-stream bare-pipe nng zeromq sd-bus gdbus iceoryx node-ipc'
        case $prev in
        --run-dir | --run-base) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
        --source) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
        --profiles) mapfile -t COMPREPLY < <(compgen -W "$profiles" -- "$cur") ;;
        --profile) mapfile -t COMPREPLY < <(compgen -W "$subjects" -- "$cur") ;;
        --name | -n) mapfile -t COMPREPLY < <(compgen -W "$(_nipc_endpoints)" -- "$cur") ;;
        --type) mapfile -t COMPREPLY < <(compgen -W "header chunk_header hello hello_ack
                hello_message hello_ack_message batch_payload increment cgroups_snapshot_request
                cgroups_snapshot_response string_reverse packets cgroups_lookup_request
                cgroups_lookup_response apps_lookup_request apps_lookup_response ip_to_asn_request
                ip_to_asn_response pid_traffic_request pid_traffic_response" -- "$cur") ;;
        --auth-token | --older-than | --method | --hex | --workers | --repeat | --timeout | --count | -c | \
                --interval | -i | --items | --max-* | --*-timeout | --fd | --wake-fd | --lock-fd | --lane | -l | --split-items | --rate | --duration | --depth | --bytes) ;;
        --suite) mapfile -t COMPREPLY < <(compgen -W 'short full' -- "$cur") ;;
        --out | --peers) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
        --byte-order) mapfile -t COMPREPLY < <(compgen -W 'host little big auto' -- "$cur") ;;
        --placement) mapfile -t COMPREPLY < <(compgen -W 'same two free' -- "$cur") ;;
        --format) mapfile -t COMPREPLY < <(compgen -W chrome -- "$cur") ;;
        --output | -o) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
        --csv) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
        *) return 1 ;;
        esac
}

# The words after `lane`: the verb, or what it takes.
_nipc_lane()
{
        if (($2 == 1)); then
                echo record stat dump recover export
                return
        fi
        case $1 in
        record) echo '--output --append --duration --fd --wake-fd' ;;
        stat) echo '--interval --count --fd --wake-fd' ;;
        dump) echo '--lane --hex' ;;
        recover) echo '--lane --hex --unread --output' ;;
        export) echo '--format --output' ;;
        esac
        compgen -f -- "$cur"
}

_nipc()
{
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
        local commands='serve call watch ping ls stat top clean lane doctor bench encode decode'
        local globals='--help --run-dir --run-base --auth-token --json'
        local command='' i words
        COMPREPLY=()

        for ((i = 1; i < COMP_CWORD; i++)); do
                case ${COMP_WORDS[i]} in
                --run-dir | --run-base | --auth-token) ((i++)) ;;
                -*) ;;
                *) command=${COMP_WORDS[i]} && break ;;
                esac
        done
        _nipc_options && return

        case $command in
        '') words="$commands $globals --version" ;;
        serve) words='apps-lookup cgroups-lookup cgroups-snapshot echo increment ip-to-asn
                pid-traffic string-reverse --name --source --method --profiles --workers --log
                --max-request-bytes --max-response-bytes --max-batch-items
                --max-concurrent-requests --max-sessions
                --max-sessions-per-uid --max-handshakes --max-descriptors --max-total-bytes
                --max-bytes-per-uid --handshake-timeout --request-timeout --response-timeout
                --drain-timeout --split-items --max-split-bytes --plan --fd --lock-fd' ;;
        call) words='apps-lookup cgroups-lookup cgroups-snapshot increment ip-to-asn pid-traffic
                raw string-reverse --name --batch --method --hex
                --timeout --profiles --max-request-bytes --max-response-bytes --repeat' ;;
        watch) words='cgroups-snapshot --interval --count --name --timeout --profiles' ;;
        ping) words="$(_nipc_endpoints) --count --interval --timeout --profiles --quiet" ;;
        stat) words="$(_nipc_endpoints) --prometheus --interval --timeout" ;;
        top) words='--interval --count' ;;
        clean) words="$(_nipc_endpoints) --older-than --dry-run" ;;
        lane) words=$(_nipc_lane "${COMP_WORDS[i + 1]}" "$((COMP_CWORD - i))") ;;
        bench) words='ping-pong pipeline batch pipeline-batch snapshot lookup large clients fairness
                idle lane --clients --profile --rate --duration --repeat --placement --depth --items
                --bytes --csv --suite --out --peers --gate' ;;
        encode) words="--type --items $(compgen -f -- "$cur")" ;;
        decode) words="--type --items --params --byte-order $(compgen -f -- "$cur")" ;;
        *) words='' ;;
        esac
        [[ $command ]] && words+=" $globals"
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _nipc nipc
