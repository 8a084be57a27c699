{{- /* What the pod's parts in _pod.tpl depend on, as YAML. Takes the root context of any chart. */ -}}
{{- define "plano-sidecar.options" -}}
{{- $self := . -}}
{{- with include "plano-sidecar.dependency" . -}}{{- $self = index $.Subcharts . -}}{{- end -}}
{{- $values := $self.Values -}}
{{- $facts := include "plano-sidecar.facts" $self | fromYaml -}}
{{- $names := list "POD_NAMESPACE" "PLANO_TENANT" -}}
{{- range $values.extraEnv -}}
  {{- if has .name $names -}}
    {{- fail (printf "plano-sidecar: extraEnv has %s, which is set already; a server-side apply takes no name twice" .name) -}}
  {{- end -}}
  {{- $names = append $names .name -}}
{{- end -}}
{{- range $values.extraVolumes -}}
  {{- if has .name (list "plano-sidecar-config" "plano-sidecar-keys") -}}
    {{- fail (printf "plano-sidecar: extraVolumes has %s, which is the name of a volume of the chart's own; choose another" .name) -}}
  {{- end -}}
{{- end -}}
{{- range $mount := $values.extraVolumeMounts -}}
  {{- range list "/etc/plano-sidecar" "/var/run/secrets/plano-sidecar" "/run/secrets/plano-sidecar" -}}
    {{- if hasPrefix (printf "%s/" .) (printf "%s/" (clean $mount.mountPath)) -}}
      {{- fail (printf "plano-sidecar: extraVolumeMounts has %s, over or in the folder %s of the sidecar; choose another" $mount.mountPath .) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $key, $_ := $values.podLabels -}}
  {{- if or (hasPrefix "plano-sidecar/" $key) (has $key (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component")) -}}
    {{- fail (printf "plano-sidecar: podLabels has %s, by which objects of the chart find their pods; leave it out" $key) -}}
  {{- end -}}
{{- end -}}
{{- $scrape := not $values.podMonitor.enabled -}}
{{- /* Where podAnnotations has one of them, all three come with the others: no key may stand twice. */ -}}
{{- range list "scrape" "port" "path" -}}
  {{- if hasKey $values.podAnnotations (printf "prometheus.io/%s" .) -}}{{- $scrape = false -}}{{- end -}}
{{- end -}}
image: {{ include "plano-sidecar.image" $self | quote }}
pullPolicy: {{ $values.image.pullPolicy }}
native: {{ include "plano-sidecar.isNative" $self | eq "true" }}
dataPort: {{ $facts.dataPort }}
adminPort: {{ $facts.adminPort }}
operatorPort: {{ $facts.operatorPort }}
graceSeconds: {{ $facts.graceSeconds }}
uid: {{ get $values "runAsUser" | int }}
configMap: {{ $facts.configMap | quote }}
secrets: {{ include "plano-sidecar.secrets" $self }}
resources: {{ toJson $values.resources }}
scrape: {{ $scrape }}
labels:
  {{- include "plano-sidecar.releaseLabel" $self | nindent 2 }}
  {{- range $key, $value := $values.podLabels }}
  {{ $key | quote }}: {{ $value | quote }}
  {{- end }}
annotations: {{ include "plano-sidecar.annotations" (list $self $facts $scrape) }}
env: {{ toJson $values.extraEnv }}
volumeMounts: {{ toJson $values.extraVolumeMounts }}
volumes: {{ toJson $values.extraVolumes }}
{{- end }}

{{- /* The Secrets whose keys become files, as a JSON list of a projected volume's sources. */ -}}
{{- define "plano-sidecar.secrets" -}}
{{- $secrets := .Values.secrets -}}
{{- if .Values.redis.enabled -}}
  {{- $item := dict "key" .Values.redis.passwordSecret.key "path" "redis-password" -}}
  {{- $secrets = append $secrets (dict "name" .Values.redis.passwordSecret.name "items" (list $item)) -}}
{{- end -}}
{{- toJson ($secrets | default list) -}}
{{- end }}

{{- /*
Annotations beside those for scraping, as a JSON mapping. The checksum is of what a running sidecar cannot take over from
a changed config: only then pods are made anew. All else it reads from the changed ConfigMap.
*/ -}}
{{- define "plano-sidecar.annotations" -}}
{{- $values := (index . 0).Values -}}
{{- $facts := index . 1 -}}
{{- $config := $facts.config -}}
{{- $admin := pick (get $config "admin" | default dict) "address" "port" "operator_address" -}}
{{- $listeners := get $config "listeners" -}}
{{- if kindIs "slice" $listeners -}}{{- $listeners = pick (first $listeners | default dict) "address" "port" -}}{{- end -}}
{{- $cache := get (get $config "routing" | default dict) "session_cache" | default dict -}}
{{- $cache = pick $cache "type" "url" "username" "password" "tls" "key_prefix" "near_cache" -}}
{{- $logging := pick (get $config "logging" | default dict) "format" -}}
{{- $made := dict -}}
{{- if not $values.existingConfigMap -}}
  {{- $restart := list $listeners $admin $cache $logging (get $config "tracing") -}}
  {{- $_ := set $made "plano-sidecar/restart-checksum" (toJson $restart | sha256sum | trunc 16) -}}
{{- end -}}
{{- $ports := toString $facts.adminPort -}}
{{- if not (or $values.podMonitor.enabled (index . 2)) -}}
  {{- $made = merge $made (dict "prometheus.io/scrape" "true" "prometheus.io/port" $ports "prometheus.io/path" "/metrics") -}}
{{- end -}}
{{- if eq $values.mesh "istio" -}}
  {{- $_ := set $made "traffic.sidecar.istio.io/excludeInboundPorts" $ports -}}
{{- else if eq $values.mesh "linkerd" -}}
  {{- $_ := set $made "config.linkerd.io/skip-inbound-ports" $ports -}}
{{- end -}}
{{- toJson (merge (deepCopy $values.podAnnotations) $made) -}}
{{- end }}

{{- /*
The app's variables that it has not itself. Call it with a list: root context, the app's own env. A list that has a name
twice is refused by a server-side apply, which is what Helm 4 does.
*/ -}}
{{- define "plano-sidecar.missingAppEnv" -}}
{{- $names := list -}}
{{- range index . 1 -}}{{- $names = append $names .name -}}{{- end -}}
{{- $missing := list -}}
{{- range include "plano-sidecar.appEnv" (index . 0) | fromYamlArray -}}
  {{- if not (has .name $names) -}}{{- $missing = append $missing . -}}{{- end -}}
{{- end -}}
{{- if $missing -}}{{- toYaml $missing -}}{{- end -}}
{{- end }}

{{- /* imagePullSecrets of a pod, where there are any. */ -}}
{{- define "plano-sidecar.imagePullSecrets" -}}
{{- $self := . -}}
{{- with include "plano-sidecar.dependency" . -}}{{- $self = index $.Subcharts . -}}{{- end -}}
{{- with $self.Values.imagePullSecrets -}}{{- toYaml . -}}{{- end -}}
{{- end }}
