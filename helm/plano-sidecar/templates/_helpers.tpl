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

{{- /* What the generated templates of _pod.tpl depend on, by the names that they use. */ -}}
{{- define "plano-sidecar.options" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
pullPolicy: {{ .Values.image.pullPolicy }}
native: {{ include "plano-sidecar.isNative" . | default "false" }}
dataPort: {{ .Values.ports.data }}
adminPort: {{ .Values.ports.admin }}
configMap: {{ .Release.Name }}-plano-sidecar
secrets: [{{ .Values.secretName }}]
uid: 65532
scrape: {{ not .Values.podMonitor.enabled }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- end }}
