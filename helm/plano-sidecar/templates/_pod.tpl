{{- /*
  Written by `python -m deploy.pod.chart_template` from sidecar/inject/pod.py; change that.
  Call each with the root context. What it depends on is the mapping of "plano-sidecar.options".
*/}}
{{- /* The sidecar's container, without a dash. */}}
{{- define "plano-sidecar.container" }}
{{- $options := include "plano-sidecar.options" . | fromYaml -}}
name: plano-sidecar
image: {{ $options.image | quote }}
imagePullPolicy: {{ $options.pullPolicy | quote }}
{{- if $options.native }}
restartPolicy: Always
{{- end }}
args:
  - run
  - --config
  - /etc/plano-sidecar/config.yaml
  {{- if not $options.native }}
  - "--mode=container"
  - "--termination-grace={{ $options.graceSeconds | int }}"
  {{- end }}
  {{- if $options.native }}
  - "--mode=native"
  {{- end }}
env:
  - name: POD_NAMESPACE
    valueFrom:
      fieldRef:
        fieldPath: metadata.namespace
  - name: PLANO_TENANT
    value: {{ get $options "tenant" | replace "$" "$$" | default "$(POD_NAMESPACE)" | quote }}
  {{- if get $options "env" }}
  {{- toYaml $options.env | nindent 2 }}
  {{- end }}
ports:
  - name: plano-admin
    containerPort: {{ $options.adminPort | int }}
    protocol: TCP
startupProbe:
  httpGet:
    path: /readyz
    port: plano-admin
  periodSeconds: 1
  failureThreshold: 60
readinessProbe:
  httpGet:
    path: /readyz
    port: plano-admin
  periodSeconds: 5
  failureThreshold: 2
livenessProbe:
  httpGet:
    path: /livez
    port: plano-admin
  periodSeconds: 10
  timeoutSeconds: 2
  failureThreshold: 3
{{- if not $options.native }}
lifecycle:
  postStart:
    exec:
      command:
        - plano-sidecar
        - wait
        - "--port={{ $options.adminPort | int }}"
{{- end }}
resources:
  {{- toYaml $options.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop:
      - ALL
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  {{- if get $options "uid" }}
  runAsUser: {{ $options.uid | int }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  - name: plano-sidecar-config
    mountPath: /etc/plano-sidecar
    readOnly: true
  {{- if $options.secrets }}
  - name: plano-sidecar-keys
    mountPath: /var/run/secrets/plano-sidecar
    readOnly: true
  {{- end }}
  {{- if get $options "volumeMounts" }}
  {{- toYaml $options.volumeMounts | nindent 2 }}
  {{- end }}
{{- end }}

{{- /* The volumes that it mounts, as items of a list. */}}
{{- define "plano-sidecar.volumes" }}
{{- $options := include "plano-sidecar.options" . | fromYaml -}}
- name: plano-sidecar-config
  configMap:
    name: {{ $options.configMap | quote }}
{{- if $options.secrets }}
- name: plano-sidecar-keys
  projected:
    defaultMode: 292
    sources:
      {{- range $options.secrets }}
      - secret:
          {{- toYaml . | nindent 10 }}
      {{- end }}
{{- end }}
{{- if get $options "volumes" }}
{{- toYaml $options.volumes | nindent 0 }}
{{- end }}
{{- end }}

{{- /* The variables by which the app's SDKs find it, as items. */}}
{{- define "plano-sidecar.appEnv" }}
{{- $options := include "plano-sidecar.options" . | fromYaml -}}
- name: OPENAI_BASE_URL
  value: "http://127.0.0.1:{{ $options.dataPort | int }}/v1"
- name: OPENAI_API_KEY
  value: the-sidecar-has-the-key
- name: ANTHROPIC_BASE_URL
  value: "http://127.0.0.1:{{ $options.dataPort | int }}"
- name: ANTHROPIC_API_KEY
  value: the-sidecar-has-the-key
{{- end }}

{{- /* The pod's labels. */}}
{{- define "plano-sidecar.podLabels" }}
{{- $options := include "plano-sidecar.options" . | fromYaml -}}
plano-sidecar/injected: "true"
{{- if get $options "labels" }}
{{- toYaml $options.labels | nindent 0 }}
{{- end }}
{{- end }}

{{- /* The pod's annotations; there may be none. */}}
{{- define "plano-sidecar.podAnnotations" }}
{{- $options := include "plano-sidecar.options" . | fromYaml -}}
{{- if $options.scrape -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ $options.adminPort | int | quote }}
prometheus.io/path: /metrics
{{- end }}
{{- if get $options "annotations" }}
{{- toYaml $options.annotations | nindent 0 }}
{{- end }}
{{- end }}
