# Everything there is, once.
variable "domain" { default = "example.com" }
variable "weights" { default = { webC = 1, webD = 2 } }

locals {
  shop = "shop.${var.domain}"
}

global {
  max_connections = 5000
  shutdown_grace  = "1m30s"
  state_dir       = "state"
}

log "access" {
  format = "combined"
  output = "logs/access.log"
}

log "errors" {
  output = "syslog:udp:127.0.0.1:514"
}

tls "site" {
  certificate = "site.pem"
  key         = "/etc/ssl/site.key"
  min_version = 1.3
}

frontend "https" {
  bind ":443" { tls = tls.site }
  bind ":80" { redirect = "https" }
  hosts   = [local.shop, "*.${var.domain}"]
  backend = backend.webfarm
  log     = log.access
  limits {
    target = "8KiB"
    body   = "1GB"
  }
  monitor {
    sources = ["192.168.1.253/31", "::1"]
    uri     = "/alive"
  }
  route {
    paths   = ["/api/*"]
    backend = backend["api-v2"]
  }
  timeouts {
    client = "0s"
  }
}

frontend "other" {
  bind ":443" { tls = tls.site }
  hosts   = ["other.example.org"]
  backend = backend.api-v2
  log     = log.errors
}

backend "webfarm" {
  cookie "SERVERID" {
    domain = ["example.com"]
    secure = true
  }
  check "http" {
    request  = "HEAD /index.html HTTP/1.0"
    interval = "5s"
    fall     = 5
  }
  forwardfor {
    except  = ["192.168.1.1"]
    trusted = ["10.1.2.3/8"]
  }
  server "webA" "192.168.1.11:80" { cookie = "A" }
  server "webB" "192.168.1.12:80" {
    check "http" { port = 81 }
    check "tcp" {}
  }
  dynamic "server" {
    for_each = var.weights
    labels   = [server.key]
    content {
      address = "${server.key}.${var.domain}:8080"
      weight  = server.value
    }
  }
}

backend "api-v2" {
  balance = "header:X-User"
  cookie "API" { mode = "passive" }
  server "api" "unix:/run/api.sock" {}
}

listen "mail" {
  bind "127.0.0.1:8025" {}
  balance = "source"
  timeouts {
    connect = "1s"
  }
  server "mail" "127.0.0.1:8026" {}
}
