{{- /*
Every named template takes the root context of any chart: of this one, of one that has this one as a dependency, or
that of the dependency itself (.Subcharts.NAME), where there are several.
*/ -}}

{{- /* The name of this chart among the dependencies of the chart that asks; empty where it asks itself. */ -}}
{{- define "plano-sidecar.dependency" -}}
{{- $isChart := "plano-sidecar/chart" -}}
{{- if ne "true" (index .Chart.Annotations $isChart | default "") -}}
  {{- $found := list -}}
  {{- range $name, $each := .Subcharts -}}
    {{- if eq "true" (index $each.Chart.Annotations $isChart | default "") -}}{{- $found = append $found $name -}}{{- end -}}
  {{- end -}}
  {{- if not $found -}}
    {{- fail (printf "plano-sidecar: %s includes its templates, and has it not (or not enabled) under dependencies in its Chart.yaml" .Chart.Name) -}}
  {{- else if gt (len $found) 1 -}}
    {{- fail (printf "plano-sidecar: %s has it as %s; include its templates with one of them instead of the dot, such as .Subcharts.%s" .Chart.Name (join " and " $found) (index $found 0)) -}}
  {{- end -}}
  {{- index $found 0 -}}
{{- end -}}
{{- end }}

{{- /* What the templates go by, as YAML: names, ports and the config, with what the chart adds to it. */ -}}
{{- define "plano-sidecar.facts" -}}
{{- $self := . -}}
{{- with include "plano-sidecar.dependency" . -}}{{- $self = index $.Subcharts . -}}{{- end -}}
{{- $values := $self.Values -}}
{{- $fullname := include "plano-sidecar.fullname" $self -}}
{{- $config := dict -}}
{{- if and $values.configFile $values.existingConfigMap -}}
  {{- fail "plano-sidecar: configFile and existingConfigMap are both set, and the config can come from one of them only; leave one out" -}}
{{- end -}}
{{- if $values.configFile -}}
  {{- $config = fromYaml $values.configFile -}}
  {{- if hasKey $config "Error" -}}{{- fail (printf "plano-sidecar: configFile is not a mapping in YAML: %s" $config.Error) -}}{{- end -}}
{{- else -}}
  {{- $config = include "plano-sidecar.config" (list $self $fullname) | fromYaml -}}
{{- end -}}
{{- $admin := get $config "admin" | default dict -}}
{{- $adminAddress := get $admin "address" | toString -}}
{{- if or (hasPrefix "127." $adminAddress) (has $adminAddress (list "::1" "[::1]" "localhost")) -}}
  {{- fail "plano-sidecar: config.admin.address is loopback, where neither the kubelet's probes nor Prometheus come; leave it out" -}}
{{- end -}}
{{- $adminPort := include "plano-sidecar.port" (list "config.admin.port" (get $admin "port") 9901) | int -}}
{{- $listener := dict -}}
{{- $listeners := get $config "listeners" -}}
{{- if kindIs "map" $listeners -}}{{- $listener = get $listeners "egress_traffic" | default dict -}}
{{- else if $listeners -}}{{- $listener = first $listeners -}}{{- end -}}
{{- $address := get $listener "address" | default "127.0.0.1" | toString -}}
{{- if not (has $address (list "127.0.0.1" "localhost")) -}}
  {{- fail (printf "plano-sidecar: config.listeners[0].address is %q, and the app's variables name 127.0.0.1; leave it out" $address) -}}
{{- end -}}
{{- $place := "" -}}
{{- if hasKey $admin "operator_address" -}}{{- $place = toString $admin.operator_address -}}{{- end -}}
{{- $operatorPort := 0 -}}
{{- if not $place -}}
  {{- $operatorPort = add $adminPort 1 -}}
{{- else if not (or (eq $place "off") (eq $place "false") (hasPrefix "unix:" $place)) -}}
  {{- $operatorPort = include "plano-sidecar.port" (list "config.admin.operator_address" (regexFind "[0-9]+$" $place)) | int -}}
{{- end -}}
{{- $dataPort := include "plano-sidecar.port" (list "config.listeners[0].port" (get $listener "port") 12000) | int -}}
{{- if eq $adminPort $dataPort -}}
  {{- fail (printf "plano-sidecar: config.admin.port and config.listeners[0].port are both %d; each needs a port of its own" $adminPort) -}}
{{- end -}}
{{- if has (int $operatorPort) (list $adminPort $dataPort) -}}
  {{- fail (printf "plano-sidecar: the pages for operators have port %d (config.admin.operator_address, else the port after config.admin.port), which is that of config.admin.port or config.listeners[0].port; each needs a port of its own" (int $operatorPort)) -}}
{{- end -}}
{{- if gt (int $operatorPort) 65535 -}}
  {{- fail "plano-sidecar: no port comes after config.admin.port 65535 for the pages for operators; choose a lower one, or name config.admin.operator_address" -}}
{{- end -}}
fullname: {{ $fullname | quote }}
dataPort: {{ $dataPort }}
adminPort: {{ $adminPort }}
# 0: none.
operatorPort: {{ $operatorPort }}
graceSeconds: {{ get $values "terminationGracePeriodSeconds" | default (add 5 (ceil (get (get $config "drain" | default dict) "grace_s" | default 25 | float64))) | int }}
configMap: {{ $values.existingConfigMap | default $fullname | quote }}
config: {{ toJson $config }}
{{- end }}

{{- /* A port's number. Call it with a list: key, value, and a default for an empty one. */ -}}
{{- define "plano-sidecar.port" -}}
{{- $value := index . 1 -}}
{{- if and (eq "" (toString $value)) (gt (len .) 2) -}}{{- $value = index . 2 -}}{{- end -}}
{{- $port := $value | int -}}
{{- if or (lt $port 1024) (gt $port 65535) (ne (toString $value) (toString $port)) -}}
  {{- fail (printf "plano-sidecar: %s must be a number from 1024 to 65535, since the pod's container port, probes and variables are made of it; it is %q" (index . 0) (toString $value)) -}}
{{- end -}}
{{- $port -}}
{{- end }}

{{- /* The config with what the chart knows better. Call it with a list: this chart's context, its fullname. */ -}}
{{- define "plano-sidecar.config" -}}
{{- $self := index . 0 -}}
{{- $fullname := index . 1 -}}
{{- $config := deepCopy $self.Values.config -}}
{{- $routing := deepCopy (get $config "routing" | default dict) -}}
{{- $cache := deepCopy (get $routing "session_cache" | default dict) -}}
{{- if not (or (get $cache "tenant") (get $cache "tenant_header")) -}}
  {{- $_ := set $cache "tenant" "$POD_NAMESPACE" -}}
{{- end -}}
{{- $type := get $cache "type" | default "redis" | toString -}}
{{- if and $self.Values.redis.enabled (ne $type "redis") -}}
  {{- fail (printf "plano-sidecar: redis.enabled keeps pins in Redis, and config.routing.session_cache.type is %q; leave one of them out" $type) -}}
{{- end -}}
{{- if and $self.Values.redis.enabled (not (get $cache "url")) -}}
  {{- $_ := set $cache "type" "redis" -}}
  {{- $_ := set $cache "url" (printf "redis://%s:6379/0" (include "plano-sidecar.suffixed" (list $fullname "redis"))) -}}
  {{- $_ := set $cache "password" "${file:/var/run/secrets/plano-sidecar/redis-password}" -}}
{{- end -}}
{{- $_ := set $routing "session_cache" $cache -}}
{{- $_ := set $config "routing" $routing -}}
{{- toYaml $config -}}
{{- end }}

{{- /* What config.yaml holds. */ -}}
{{- define "plano-sidecar.configText" -}}
{{- if .Values.configFile -}}
{{- .Values.configFile -}}
{{- else -}}
{{- include "plano-sidecar.config" (list . (include "plano-sidecar.fullname" .)) -}}
{{- end -}}
{{- end }}

{{- /* Whether the sidecar is an init container that stays. */ -}}
{{- define "plano-sidecar.isNative" -}}
{{- $self := . -}}
{{- with include "plano-sidecar.dependency" . -}}{{- $self = index $.Subcharts . -}}{{- end -}}
{{- $mode := $self.Values.mode -}}
{{- $canStay := semverCompare ">=1.29-0" .Capabilities.KubeVersion.Version -}}
{{- if and (eq $mode "native") (not $canStay) -}}
  {{- fail (printf "plano-sidecar: mode native needs Kubernetes 1.29 or later, and this is %s; set mode to auto or container" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- if and (ne $mode "container") $canStay -}}
true
{{- end -}}
{{- end }}

{{- /* The pod's terminationGracePeriodSeconds. */ -}}
{{- define "plano-sidecar.terminationGracePeriodSeconds" -}}
{{- (include "plano-sidecar.facts" . | fromYaml).graceSeconds | int -}}
{{- end }}

{{- define "plano-sidecar.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{- /* What this chart's objects are named. */ -}}
{{- define "plano-sidecar.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $usual := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $usual | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- /* A name with its suffix within the 63 characters of a label. Call it with a list: name, suffix. */ -}}
{{- define "plano-sidecar.suffixed" -}}
{{- $suffix := printf "-%s" (index . 1) -}}
{{- index . 0 | trunc (int (sub 63 (len $suffix))) | trimSuffix "-" }}{{ $suffix }}
{{- end }}

{{- define "plano-sidecar.labels" -}}
{{ include "plano-sidecar.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
{{- end }}

{{- define "plano-sidecar.selector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- /* The label by which PodMonitor and policies of this release find the pods that carry its sidecar. */ -}}
{{- define "plano-sidecar.releaseLabel" -}}
plano-sidecar/release: {{ include "plano-sidecar.fullname" . | quote }}
{{- end }}

{{- /* Of the pods that this chart makes itself, and of their containers beside the sidecar: "restricted". */ -}}
{{- define "plano-sidecar.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  {{- with get .Values "runAsUser" }}
  runAsUser: {{ . | int }}
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "plano-sidecar.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  readOnlyRootFilesystem: true
{{- end }}
