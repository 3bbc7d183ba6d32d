# The same in mode "http": a server without a port is reached at the one its clients came to.

listen "two-sites" {
  bind ":80" {}
  bind ":8080" {}

  monitor { sources = ["192.168.1.252/31"] }

  server "web" "192.168.1.10" {}
}
