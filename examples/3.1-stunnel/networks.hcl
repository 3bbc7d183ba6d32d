# Whole networks in front of us that carry the client's address already, of both families.

listen "webfarm" {
  bind "192.168.1.1:80" {}
  bind "[2001:db8::1]:80" {}

  forwardfor { except = ["192.168.1.1", "10.0.0.1/25", "2001:db8:0:1::/64"] }

  server "webA" "192.168.1.11:80" {}
}
