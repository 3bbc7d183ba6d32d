# What mode = "tcp" cannot do, and ports nobody knows.

frontend "mixed" {
  mode    = "tcp"
  bind ":8000" {}
  backend = backend.web
}

frontend "half" {
  bind ":8001" { accept_proxy = ["10.0.0.0/8"] }
  hosts   = ["a.example.com"]
  backend = backend.web
}

frontend "other" {
  bind ":8001" { accept_proxy = ["10.0.0.0/16"] }
  hosts   = ["b.example.com"]
  backend = backend.web
}

frontend "raw" {
  mode = "tcp"
  bind ":8001" {}
  hosts   = ["c.example.com"]
  backend = backend.farm
}

frontend "reader" {
  mode = "tcp"
  bind ":8002" { redirect = "https" }
  underscore_headers = true
  limits {
    body       = "1MiB"
    per_source = 4
  }
  monitor {
    uri = "/alive"
  }
  route {
    paths   = ["/api/*"]
    backend = backend.farm
  }
  backend = backend.farm
}

frontend "local" {
  mode = "tcp"
  bind "unix:/run/x.sock" {}
  backend = backend.nowhere
}

frontend "word" {
  mode = "udp"
  bind ":8003" {}
  backend = backend.farm
}

backend "web" {
  server "a" "10.0.0.1:80" { send_proxy = "v3" }
  server "b" "unix:/run/b.sock" {
    tls {
      key = "b.key"
    }
  }
  server "c" "10.0.0.3:443" {
    tls {
      ca     = "ca.pem"
      verify = false
    }
  }
}

backend "farm" {
  mode    = "tcp"
  balance = "uri"
  http_close = true
  cookie "SERVERID" {}
  forwardfor {}
  check "tcp" {}
  server "a" "10.0.0.1" {}
  server "b" "10.0.0.2" { protocol = "h2" }
}

backend "nowhere" {
  mode = "tcp"
  server "a" "10.0.0.1" {}
}

listen "clear" {
  bind ":8443" { tls = tls.site }
  server "a" "10.0.0.1" {}
}

tls "site" { internal = true }
