variable "port" { default = 80 }

locals {
  a = local.b
  b = local.a
  c = var.prot
  d = backend.farm
}

frontend "one" {
  bind ":80" {}
  bind ":443" { tls = tls.sight }
  backend = backend.fram
  log     = "access"
}

frontend "two" {
  bind ":81" { tls = backend.farm }
  backend = farm
  log     = log.none
  route {
    paths   = ["/a"]
    backend = backend["fahrm"]
  }
}

frontend "three" {
  bind { address = ":${var.port + 2}" }
  backend = var.port > 80 ? backend.farm : backend.farm
  log     = lgo.access
}

log "access" {}
tls "site" { internal = true }

backend "farm" {
  server "a" "10.0.0.1:80" {}
}

backend "idle" {
  server "a" "10.0.0.1:80" { cookie = env("NOT_SET") }
}
