listen "tse-farm" {
  mode = "tcp"
  bind ":3389" {}
  bind ":1494" {}
  bind ":5900" { accept_proxy = ["10.0.0.0/8"] }
  balance = "source"
  monitor {
    sources = ["192.168.1.252/31"]
  }
  limits {
    per_source = 10
  }
  check "tcp" {
    port = 3389
  }
  server "tse1" "192.168.1.10" {}
  server "tse2" "192.168.1.11" {
    backup     = true
    send_proxy = "v2"
  }
}

listen "one-port" {
  mode = "tcp"
  bind ":8443" {}
  check "tls" {}
  server "a" "192.168.1.20" {}
}

frontend "www" {
  bind ":80" {}
  backend = backend.app
}

backend "app" {
  server "a" "app.internal:8443" {
    tls {
      server_name = "app"
      verify      = false
    }
  }
}
