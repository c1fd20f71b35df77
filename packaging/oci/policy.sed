# Changes to the shipped policy for a container.
/^listen   = "inet:8891@127.0.0.1"/c\
# Open to the container's network, which must be private to replygate and its MTA: anyone who can open this socket can\
# impersonate any client and any login. Never publish the port.\
listen   = "inet:8891@0.0.0.0"
s/^decisions = "journal" .*/decisions = "stdout"               # the container's log/
s/^#\[metrics\]/[metrics]/
s/^#listen = "inet:9791@127.0.0.1"/listen = "inet:9791@127.0.0.1"     # the health check asks here/
