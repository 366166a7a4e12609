"""Real bodies for the local cloud's instances: Linux hosts with systemd and sshd, in network namespaces of their own.

    daemon (moto) ◀──HTTP── supervisor ── one systemd-nspawn an instance
                               │
           gateway (unix socket into the client's network), egress (the hosts' way out)

`keeper` starts all of it and outlives it to clean up. Everything else lives in one private mount and pid
namespace whose end removes it: nothing is mounted, named or routed where the machine itself could see it.
"""
