global {
  shutdown_grace = 30
  max_connections = "many"
}

frontend "www" {
  bind ":80" {}
  backend         = backend.farm
  hosts           = "www.example.com"
  max_connections = 1.5
  limits {
    target = 16384
    head   = "32 kilobytes"
    body   = "10MiB20"
  }
  monitor {
    sources = ["192.168.1.252/31", "192.168.1.0/33", "here"]
  }
  timeouts {
    client  = 50000
    request = "10"
    idle    = "1 minute"
  }
}

backend "farm" {
  balance    = "roundrobbin"
  redispatch = "yes"
  retries    = null
  cookie "SERVERID" {
    mode     = "inserd"
    max_idle = "-5m"
  }
  check "http" {
    expect   = ["2xx", "9xx", null]
    interval = 2000
    on_fail  = "drian"
    fall     = 12345678901234567890
  }
  check "htp" {}
  server "a" "10.0.0.1:99999" {
    state  = ["ready"]
    source = "10.0.0"
    weight = {}
  }
}
