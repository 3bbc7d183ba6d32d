global {
  max_connections = 1000
  state_dir       = "state"
}

variable "region" {}
variable "region" { default = "eu" }

backend "farm" {
  server "a" "10.0.0.1:80" {}
}

listen "shop" {
  bind ":80" {}
  backend = backend.farm
  server "a" "10.0.0.1:80" {}
}
