{{- define "plano-sidecar.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "plano-sidecar.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Whether the sidecar is an init container that stays. */ -}}
{{- define "plano-sidecar.isNative" -}}
{{- if or (eq .Values.mode "native") (and (eq .Values.mode "auto") (semverCompare ">=1.29-0" .Capabilities.KubeVersion.Version)) -}}
true
{{- end -}}
{{- end }}

{{- /* The sidecar's container. Call it with the root context. No preStop: a native sidecar's would run while the app still works. */ -}}
{{- define "plano-sidecar.container" -}}
name: plano-sidecar
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- if include "plano-sidecar.isNative" . }}
restartPolicy: Always
{{- end }}
args: [run, --config, /etc/plano-sidecar/config.yaml]
ports:
  - {name: plano-admin, containerPort: {{ .Values.ports.admin }}, protocol: TCP}
startupProbe:
  httpGet: {path: /readyz, port: plano-admin}
  periodSeconds: 1
  failureThreshold: 30
readinessProbe:
  httpGet: {path: /readyz, port: plano-admin}
  periodSeconds: 5
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /livez, port: plano-admin}
  periodSeconds: 10
  timeoutSeconds: 2
  failureThreshold: 3
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: 65532
  seccompProfile: {type: RuntimeDefault}
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  - {name: plano-sidecar-config, mountPath: /etc/plano-sidecar, readOnly: true}
  - {name: plano-sidecar-keys, mountPath: /var/run/secrets/plano-sidecar, readOnly: true}
{{- end }}

{{- /* The volumes that the container mounts: directories, so that a changed ConfigMap or Secret arrives. */ -}}
{{- define "plano-sidecar.volumes" -}}
- name: plano-sidecar-config
  configMap: {name: {{ .Release.Name }}-plano-sidecar}
- name: plano-sidecar-keys
  projected:
    defaultMode: 0440
    sources:
      - secret: {name: {{ .Values.secretName }}}
{{- end }}
