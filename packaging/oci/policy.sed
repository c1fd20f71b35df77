# What the shipped policy must say in a container.
/^listen   = "inet:8891@127.0.0.1"/c\
# Open to the container's network, which must be a private one of replygate and its MTA: who can open this socket can\
# feign any client and any login. Never publish the port.\
listen   = "inet:8891@0.0.0.0"
s/^decisions = "journal" .*/decisions = "stdout"               # the container's log/
s/^#\[metrics\]/[metrics]/
s/^#listen = "inet:9791@127.0.0.1"/listen = "inet:9791@127.0.0.1"     # the health check asks here/
